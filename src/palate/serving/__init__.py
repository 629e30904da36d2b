"""A release that talks: an OpenAI-compatible API, feedback, and a chat."""
