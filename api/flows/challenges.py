"""Challenges: send a code, a password or a link, send it again, and the step that proves it (portal FLOWS 5 to 7)."""

import copy
import hmac
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from submeter.api.flows.context import FAILURES, Browser, Draft, Flows, Outcome, Refused, State, page_of
from submeter.api.flows.reach import RECOVERY, Way, delayed, ways
from submeter.api.forms import text_of
from submeter.api.problems import NotAccepted, StepExpired
from submeter.api.secrets import code, normalised, word
from submeter.api.sending import channel_of, delay, let_out
from submeter.civil import DAY, SECOND
from submeter.config.portals import Policy, Step
from submeter.config.texts import TEMPLATES
from submeter.store.accounts import Account, FlowRow, digest
from submeter.store.outbox import masked
from submeter.store.registry import new_id

__all__ = ["ask", "confirm", "prove", "resend", "told"]

#: Template of the message for each form of a challenge.
FORMS: Final = {"code": "code", "password": "activation_password", "link": "confirm_link"}


def ask(draft: Draft, step: Step) -> bool:
    """Send what a challenge asks for; False if there is nothing to prove, since the address was left out."""
    found = ways(draft, step)
    way = channel, address, account = next((one for one in found if one.channel == draft.state.get("way")), found[0])
    if channel is None and account is None and "typed" not in draft.state and "attach" not in draft.state:
        return False
    typed = draft.state.get("typed", {}) if step.channel == RECOVERY else {}
    shown = typed.get("address") if typed and typed["by"] != "username" else address if not typed else None
    challenge = draft.state["challenge"] = {
        "tries": 0,
        "expires": draft.now + (step.ttl or _life(draft.policy, step)) * SECOND,
        "resend": draft.now + draft.policy.resend_after * SECOND,
        "transaction": new_id("t_")[-6:],
        "form": step.form,
        "channel": channel,
        "address": address,
        "account": account,
        "second": step.channel != RECOVERY,
        "masked": masked(shown) if shown else None,
        "shown": None if typed else channel,
        "others": _others(draft, step, way, found),
    }
    if address and channel:
        _send(draft, channel, address, _secret(draft, step, challenge))
    elif step.otherwise == "letter" and channel is None and account and not draft.flows.factors.codes_left(account):
        _by_letter(draft, challenge, account)
    return True


def _life(policy: Policy, step: Step) -> int:
    return policy.code_ttl if step.form == "code" else policy.mail_ttl


def _others(draft: Draft, step: Step, way: Way, found: Sequence[Way]) -> list[str]:
    """The channels of the other ways; none before anything was proven, since a stranger would learn from them who has an account, and how."""
    if step.channel == RECOVERY or not draft.state.get("methods"):
        return []
    return list(dict.fromkeys(one.channel for one in found if one.channel and one.channel != way.channel))


def _secret(draft: Draft, step: Step, challenge: State) -> str:
    """What proves an address, of which the challenge keeps the hash; of a link it is the word that another browser would show."""
    secret = {"password": lambda: word(step.length), "link": lambda: random.token_urlsafe(24)}.get(step.form, code)()
    typed = secret
    if step.form == "link":
        challenge["link"] = digest(secret).hex()
        typed = draft.flows.secrets.word_of(challenge["link"])
    challenge["hash"] = draft.flows.secrets.keyed("code", draft.flow.id, typed).hex()
    return secret


def _by_letter(draft: Draft, challenge: State, identity: str) -> None:
    """No factor is left: a code goes to the unit of the account by post, and the challenge waits for it as long as it holds (FLOWS 6)."""
    account = draft.account(identity)
    if account and draft.flows.post_codes.recovery(account, draft.policy, draft.tenant.url, draft.now):
        challenge.update(channel="letter", shown="letter", expires=draft.now + draft.policy.letter_days * DAY)


def _send(draft: Draft, channel: str, address: str, secret: str) -> None:
    """Put the message into the outbox, unless so many went there already: then nothing is sent, and nothing is said."""
    flow, registry, challenge, portal = draft.flow, draft.flows.registry, draft.state["challenge"], draft.tenant.url
    proven = challenge["account"] is not None
    if not let_out(draft.accounts, flow.realm, flow.manager, channel, address, draft.policy.resend_per_hour, draft.now, proven=proven):
        registry.record(f"flow:{flow.id}", "message.held_back", flow.manager, "too many to this address")
        return
    minutes = str((challenge["expires"] - draft.now) // (60 * SECOND))
    told = {"code": secret, "secret": secret, "transaction": challenge["transaction"], "minutes": minutes, "portal": portal}
    told |= {"login": address, "link": f"{portal}/confirm/{secret}"}
    template: str = FORMS[challenge["form"]]
    values: dict[str, str] = {name: told[name] for name in TEMPLATES[template]}
    registry.outbox.put(
        flow.manager, channel_of(channel), address, template, str(draft.state["locale"]), values, now=draft.now, expires=challenge["expires"]
    )


def resend(flows: Flows, flow: FlowRow, way: object = None) -> Outcome:
    """Send a challenge again with another code, or go another `way` of those that it names; the count of tries goes on. Raises NotAccepted, also before its time."""
    draft = Draft(flows, flow, copy.deepcopy(dict(flow.state)), Browser(), flows.now())
    before = draft.state.get("challenge")
    if before is None or way not in (None, *before["others"]):
        raise NotAccepted
    waits = before.get("waits", {}) | {f"{before['channel']}": before["resend"]}
    if way != "totp" and waits.get(f"{way or before['channel']}", 0) > draft.now:
        raise NotAccepted
    if way is not None:
        draft.state["way"] = way
    step = next(step for step in page_of(draft.steps, draft.state["at"]) if step.do == "challenge")
    with flows.registry.writing():
        ask(draft, step)
        draft.state["challenge"] |= {"tries": before["tries"], "transaction": before["transaction"], "waits": waits}
        return Outcome(draft.keep())


def prove(draft: Draft, _step: Step, fields: Mapping[str, Any]) -> None:
    """A code against what was sent; a link that was followed in this browser needs none. TOTP and recovery codes count as second factors."""
    flows, accounts, challenge, now = draft.flows, draft.accounts, draft.state["challenge"], draft.now
    given = "" if challenge.get("confirmed") else normalised(text_of(fields, "code"))
    challenge["tries"] += 1
    account = draft.account(challenge["account"])
    over = challenge["expires"] <= now or challenge["tries"] > draft.policy.code_tries
    key = f"codes:{draft.flow.realm}:{challenge['account'] or challenge['address']}"
    waits = accounts.held_up(key, now) and not (account and accounts.knows_browser(account.id, draft.browser.secret))
    letter = flows.post_codes.proves("recovery", account.id, given, now) if account and challenge["channel"] == "letter" else None
    if over or waits or not (letter or _right(draft, challenge, account, given)):
        with flows.registry.writing():
            accounts.count(key, now, delay)
            if account is not None:
                accounts.failed(account.id)
        raise Refused("code: " + ("over" if over else "too soon" if waits else "wrong"))
    accounts.forgive(key)
    draft.state.pop("challenge")
    draft.state.pop("way", None)
    draft.state["letter"] = letter.id if letter else None
    draft.state.setdefault("methods", []).append(f"code:{challenge['channel']}")
    if account is not None:
        accounts.failed(account.id, reset=True)
    else:
        _address_proven(draft, challenge["channel"])


def _right(draft: Draft, challenge: State, account: Account | None, given: str) -> bool:
    """Whether a code is that of the challenge, or of a factor of one's own; after too many failures only recovery helps."""
    if challenge.get("confirmed"):
        return True
    on = account is None or account.failures < FAILURES
    if account is not None and challenge["second"] and on and draft.flows.factors.proves(account.id, given, draft.now):
        return True
    sent = bytes.fromhex(challenge.get("hash", "00"))
    return hmac.compare_digest(draft.flows.secrets.keyed("code", draft.flow.id, given), sent) and (on or draft.flow.name == "recover")


def _address_proven(draft: Draft, channel: str) -> None:
    """An address of this flow is proven; where it belongs to an account, the rest of the flow is that account's (FLOWS 5, attach)."""
    contact = draft.state["contacts"][channel]
    contact["proven"] = draft.now
    found = draft.accounts.reached(draft.flow.realm, channel, contact["address"])
    if found is None:
        return
    if contact["attach"]:
        draft.state.update(attach=found.id, list="attach", next=0)
        draft.state.pop("password", None)
    else:
        contact["use"] = "notify"


def confirm(flows: Flows, link: str, cookie: str) -> tuple[bool, str]:
    """Follow a link of a mail: in the browser that began the flow it proves the address, in another one it shows the word to type there."""
    waiting = flows.accounts.flow_of_link(digest(link), flows.now())
    with flows.turn(waiting.id if waiting else ""):
        flow = flows.accounts.flow_of_link(digest(link), flows.now())
        if flow is None or flow.state["challenge"]["expires"] <= flows.now():
            raise StepExpired
        challenge = flow.state["challenge"]
        if not hmac.compare_digest(flow.cookie, digest(cookie)):
            return False, flows.secrets.word_of(challenge["link"])
        flows.keep(replace(flow, state={**flow.state, "challenge": {**challenge, "confirmed": True}}))
        return True, flow.id


def told(flows: Flows, state: Mapping[str, Any]) -> dict[str, Any]:
    """What a page says of its challenge: nothing where it has none."""
    challenge = state.get("challenge")
    if challenge is None:
        return {}
    now = flows.now()
    return {
        "form": challenge["form"],
        "transaction_id": challenge["transaction"],
        "channel": challenge["shown"],
        "address_masked": challenge["masked"],
        "delayed": delayed(flows, challenge["shown"]),
        "expires_in": max((challenge["expires"] - now) // SECOND, 0),
        "resend_in": max((challenge["resend"] - now) // SECOND, 0),
        "others": challenge["others"],
    }
