"""Recommenders and advisors behind small interfaces, and runs: generations whose events outlive the connection that asked for them.

- Runs: `run` is the row, `runs` starts and stops, `finding` finds, `production` makes one; `generation` is the boundary to what
  makes their content, `recommending` and `chatting`. `audience` knows who is there, `keeper` says so and `presence` keeps it for
  all workers; `calls` are the places of models; `sweep` takes over, `retention` forgets.
- Recommendations: `recommender` is the boundary. `embedded_recommender` goes by `index` (`indexes`: one a tenant), which holds a
  `table` of `features` and what buyers have in common (`interest`); `taste` rates, `variety` picks, `reason` says why.
  `model_ranking` has a model rank.
- Chat: `engine` is the boundary. `advisor` has rules: `understanding` reads, with `words`, `sifting` (what isn't wished for) and
  `budget`; `lookup` finds pets, `advice` writes, `care` knows animals.
  `model_advisor` has a model, with `tools`.
- `model` is a language model behind OpenAI's API, `model_bytes` bounds what it may send, `reading` waits for it, `error` is what
  goes wrong.

`petstore.ai.model` and what is made of it need the openai package, so they are not named here: only whoever has a model imports
them.
"""

from petstore.ai.advisor import Advisor as Advisor
from petstore.ai.audience import Audience as Audience
from petstore.ai.chatting import DELTA as DELTA
from petstore.ai.chatting import Chatting as Chatting
from petstore.ai.chatting import request_for as request_for
from petstore.ai.embedded_recommender import EmbeddedRecommender as EmbeddedRecommender
from petstore.ai.engine import EMBEDDED as EMBEDDED
from petstore.ai.engine import MODEL as MODEL
from petstore.ai.engine import Message as Message
from petstore.ai.engine import Question as Question
from petstore.ai.engine import Role as Role
from petstore.ai.error import RunEnded as RunEnded
from petstore.ai.error import RunNotFound as RunNotFound
from petstore.ai.generation import Generate as Generate
from petstore.ai.index import PetIndex as PetIndex
from petstore.ai.indexes import PetIndexes as PetIndexes
from petstore.ai.keeper import Keeper as Keeper
from petstore.ai.production import PROGRESS as PROGRESS
from petstore.ai.recommender import Recommendation as Recommendation
from petstore.ai.recommending import RECOMMENDATION as RECOMMENDATION
from petstore.ai.recommending import Recommending as Recommending
from petstore.ai.retention import forget_customer as forget_customer
from petstore.ai.run import CHAT as CHAT
from petstore.ai.run import RECOMMENDATIONS as RECOMMENDATIONS
from petstore.ai.run import Run as Run
from petstore.ai.run import RunKind as RunKind
from petstore.ai.run import RunStatus as RunStatus
from petstore.ai.runs import DEFAULT_LIMIT as DEFAULT_LIMIT
from petstore.ai.runs import Runs as Runs
from petstore.ai.sweep import Sweep as Sweep
