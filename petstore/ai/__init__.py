"""Recommenders behind one small interface, and runs: generations whose events outlive the connection that asked for them."""

from petstore.ai.embedded import EmbeddedRecommender as EmbeddedRecommender
from petstore.ai.index import PetIndex as PetIndex
from petstore.ai.recommender import Recommendation as Recommendation
from petstore.ai.recommender import Recommender as Recommender
from petstore.ai.run import RECOMMENDATIONS as RECOMMENDATIONS
from petstore.ai.run import Run as Run
from petstore.ai.run import Runs as Runs
