"""The petstore: a streaming API server. The rooms are sse (streaming core), shop, ai, api and web; app.py joins them."""
