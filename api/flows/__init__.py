"""Flows: one interpreter for all portals, a page at a time (portal FLOWS 1 to 7).

Strategy: a flow is a row with what was said so far; a page is a step with those that join it, submitted and refused together; a step is a function that changes
a draft of the state, which is kept only if the whole page is right. `grant`, or the end of the list, writes what follows in one transaction.
Rules: every refusal is the one answer NotAccepted, its reason goes to the audit; a name that is not known goes on like a known one and takes as long; an
activation never changes the credentials of an account that is there; a try that comes too soon is answered like a wrong one.

`context` what all of them stand on · `interpreter` start, submit, go on · `shown` what browsers see · `steps`, `claim`, `passwords`, `challenges` the steps ·
`reach` where a challenge goes · `lasting` accounts, grants, sessions · `telling` notices to accounts
"""

from submeter.api.flows.context import Browser, Flows, Outcome, Tenant

__all__ = ["Browser", "Flows", "Outcome", "Tenant"]
