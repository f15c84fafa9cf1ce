"""The reference portal: server-made pages in front of the read API (portal SCREENS).

Every page asks the API as the browser that looks at it: the same handlers, the same gate, the same cookies; there is no query here and no store. What enters: pages,
their words, their drawings. What does not: anything that the API does not answer.
"""

from submeter.portal.app import create_portal

__all__ = ["create_portal"]
