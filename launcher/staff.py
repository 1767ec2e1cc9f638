"""Accounts of the staff pages and the audit log, by hand. The node may run meanwhile.

Passwords come from a prompt or from standard input, never from the command line, which everybody
on the machine can read.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from hallkit.errors import HallError, TrustError
from hallkit.lexicon.words import words
from hallkit.runtime.clock import SystemClock, local
from hallkit.runtime.log import configure_logging

if TYPE_CHECKING:
    from affairs.audit import Head
    from affairs.staff.accounts import Account, Accounts
    from affairs.store import Store

BY = "command line"
DATABASE = "affairs.sqlite"
ROLES = ("window", "guide", "supervisor", "auditor", "admin")
DEMO_FILE = "staff-accounts.txt"
DEMO = (
    ("chuangkou1", "window_1", ("window",)),
    ("chuangkou2", "window_2", ("window",)),
    ("zhiban", "supervisor", ("supervisor", "guide")),
    ("shenji", "auditor", ("auditor",)),
)
"""Accounts of the demo hall: name, words of the display name, roles."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit: 0 done, 1 it cannot be, 2 wrong use."
    actions = parser.add_subparsers(dest="staff_action", required=True)
    add = actions.add_parser("add", help="a new account; the password is asked for")
    add.add_argument("name", help="small letters and digits; stays for ever")
    add.add_argument("--display", required=True, metavar="TEXT", help="what people call them")
    add.add_argument("--roles", required=True, metavar="A,B", help=", ".join(ROLES))
    add.add_argument(
        "--windows", default="", metavar="1,2", help="where they may stand; all: everywhere"
    )
    listed = actions.add_parser("list", help="all accounts")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    for action, told in (
        ("passwd", "a new one-time password; ends all sessions"),
        ("lock", "nobody gets in with it, for now; ends all sessions"),
        ("unlock", "let in again"),
        ("retire", "for good"),
    ):
        actions.add_parser(action, help=told).add_argument("name")
    for one in actions.choices.values():
        _add_state(one)


def configure_audit(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit: 0 it holds, 1 it does not, 2 wrong use."
    actions = parser.add_subparsers(dest="audit_action", required=True)
    verify = actions.add_parser("verify", help="every row, every signed head")
    verify.add_argument(
        "--anchor",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a head that was kept elsewhere, as `anchor` prints it",
    )
    anchor = actions.add_parser("anchor", help="sign how far the log went, to be kept elsewhere")
    listed = actions.add_parser("list", help="the newest rows")
    listed.add_argument("--limit", type=int, default=50)
    for one in (verify, anchor, listed):
        _add_state(one)
        one.add_argument("--json", action="store_true", help="one JSON object a line")
    verify.add_argument(
        "--key", type=Path, metavar="FILE", help="PEM: the node's key, the public part is enough"
    )
    anchor.add_argument("--key", type=Path, metavar="FILE", help="PEM: the node's signing.pem")


def run(args: argparse.Namespace) -> int:
    return _run(_staff(args))


def run_audit(args: argparse.Namespace) -> int:
    works = {"verify": _verify, "anchor": _anchor, "list": _list_audit}
    return _run(works[args.audit_action](args))


async def make_demo_accounts(state: Path, windows: Collection[int] | None) -> Path:
    """Accounts of the demo hall, made once, with one-time passwords in a file for its owner only.

    The file's path; it says which accounts there are, and is not written again.
    """
    from affairs.staff.passwords import one_time  # noqa: PLC0415  # as in commands
    from affairs.staff.rights import Role  # noqa: PLC0415

    path = state / DEMO_FILE
    async with _accounts(state, is_new=True) as (accounts, _):
        known = {one.name for one in await accounts.all()}
        missing = [one for one in DEMO if one[0] not in known]
        made = []
        for name, display, roles in missing:
            password = one_time()
            await accounts.add(
                name,
                display_name=words()(f"staff.demo.{display}"),
                roles=[Role(role) for role in roles],
                windows=windows,
                password=password,
                by=BY,
            )
            made.append(f"{name}\t{password}")
    if made:
        path.touch(mode=0o600)
        path.chmod(0o600)
        text = "".join(f"{line}\n" for line in made)
        path.write_text(text, encoding="utf-8")
    return path


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="the node's state folder; HALLKIT_STATE_DIR"
    )


def _run(work: Any) -> int:
    configure_logging("info", process="affairs")  # beside what is printed, not among it
    try:
        return int(asyncio.run(work))
    except HallError as fault:
        why = str(fault)
        print(f"hall: {words('en')(why) if words('en').has(why) else why}", file=sys.stderr)
        return 1


@asynccontextmanager
async def _opened(state: Path | None, *, is_new: bool = False) -> AsyncIterator[Store]:
    from affairs.store import Store  # noqa: PLC0415  # other commands need no database
    from hallkit.runtime.config import Places  # noqa: PLC0415

    folder = state if state is not None else Places.from_environment().state
    if not is_new and not (folder / DATABASE).exists():
        raise TrustError(f"{folder}: there is no {DATABASE}; --state names the node's state folder")
    async with Store(folder / DATABASE) as store:
        yield store


@asynccontextmanager
async def _accounts(
    state: Path | None, *, is_new: bool = False
) -> AsyncIterator[tuple[Accounts, Store]]:
    from affairs.audit import AuditLog  # noqa: PLC0415
    from affairs.staff.accounts import Accounts  # noqa: PLC0415
    from affairs.staff.passwords import Passwords  # noqa: PLC0415

    clock = SystemClock()
    async with _opened(state, is_new=is_new) as store:
        yield (
            Accounts(store, passwords=Passwords(), log=AuditLog(clock), clock=clock),
            store,
        )


async def _staff(args: argparse.Namespace) -> int:
    from affairs.staff.accounts import AccountState  # noqa: PLC0415

    states = {
        "lock": AccountState.LOCKED,
        "unlock": AccountState.ACTIVE,
        "retire": AccountState.RETIRED,
    }
    # The first account may be made before the node's first start.
    async with _accounts(args.state, is_new=args.staff_action == "add") as (accounts, _):
        match args.staff_action:
            case "add":
                _print(await _added(accounts, args))
            case "list":
                for one in await accounts.all():
                    _print(one, as_json=args.json)
            case "passwd":
                _print(await accounts.set_password(args.name, _password(), by=BY))
            case action:
                _print(await accounts.set_state(args.name, states[action], by=BY))
    return 0


async def _added(accounts: Accounts, args: argparse.Namespace) -> Account:
    from affairs.staff.accounts import ALL_WINDOWS, AccountMistake  # noqa: PLC0415
    from affairs.staff.rights import Role  # noqa: PLC0415

    try:
        roles = [Role(role.strip()) for role in args.roles.split(",")]
        windows = (
            None
            if args.windows == ALL_WINDOWS
            else frozenset(int(number) for number in args.windows.split(",") if number.strip())
        )
    except ValueError as exc:
        raise AccountMistake(f"roles or windows: {exc}") from None
    return await accounts.add(
        args.name,
        display_name=args.display,
        roles=roles,
        windows=windows,
        password=_password(),
        by=BY,
    )


def _password() -> str:
    """From a prompt, twice; or one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("One-time password: ")
    if getpass.getpass("Once more: ") != first:
        raise TrustError("the two differ")
    return first


def _print(account: Account, *, as_json: bool = False) -> None:
    windows = "all" if account.windows is None else ",".join(map(str, sorted(account.windows)))
    roles = ",".join(sorted(account.roles))
    if as_json:
        told = {
            "id": account.id,
            "name": account.name,
            "display_name": account.display_name,
            "roles": sorted(account.roles),
            "windows": windows,
            "state": account.state.value,
            "must_change": account.must_change,
        }
        print(json.dumps(told, ensure_ascii=False))
    else:
        first = "  must change the password" if account.must_change else ""
        print(
            f"{account.name:20} {account.state.value:8} {roles:24} windows {windows or '-'}"
            f"  {account.display_name}{first}"
        )


async def _verify(args: argparse.Namespace) -> int:
    from affairs.audit import verify  # noqa: PLC0415

    anchors = [_read_anchor(path) for path in args.anchor]
    key = _public_key(args.key)
    async with _opened(args.state) as store:
        found = await verify(store, key, anchors=anchors)
    if args.json:
        told = {
            "holds": found.holds,
            "rows": found.rows,
            "first": found.first,
            "last": found.last,
            "heads": found.heads,
            "findings": [{"fault": one.fault, "seq": one.seq} for one in found.findings],
        }
        print(json.dumps(told))
    else:
        for one in found.findings:
            print(f"{one.fault:10} at row {one.seq}")
        verdict = "holds" if found.holds else "does NOT hold"
        print(f"The log {verdict}: {found.rows} rows to {found.last}, {found.heads} signed heads.")
    return 0 if found.holds else 1


async def _anchor(args: argparse.Namespace) -> int:
    from affairs.audit import Heads  # noqa: PLC0415

    async with _opened(args.state) as store:
        head = await Heads(store, _signing_key(args.key), SystemClock()).sign()
    if head is None:
        print("hall: there are no rows yet", file=sys.stderr)
        return 1
    told = {"kind": head.kind, "seq": head.seq, "at_ms": head.at_ms}
    print(json.dumps(told | {"hash": head.hash, "signature": head.signature}))
    return 0


async def _list_audit(args: argparse.Namespace) -> int:
    from affairs.audit import AuditKind, AuditLog, latest  # noqa: PLC0415

    async with _accounts(args.state) as (accounts, store):
        names = {one.id: one.name for one in await accounts.all()}
        entries = await store.transaction(lambda one: latest(one, limit=args.limit))
        log = AuditLog(SystemClock())
        await store.transaction(lambda one: log.add(one, AuditKind.AUDIT_SEEN, actor=BY))
    for entry in reversed(entries):
        if args.json:
            told = {
                "seq": entry.seq,
                "at_ms": entry.at_ms,
                "kind": entry.kind,
                "actor": entry.actor,
                "subject": entry.subject,
                "detail": json.loads(entry.detail),
            }
            print(json.dumps(told, ensure_ascii=False))
        else:
            actor = names.get(entry.actor, entry.actor or "-")
            subject = names.get(entry.subject, entry.subject)
            when = local(entry.at_ms).strftime("%Y-%m-%d %H:%M:%S")
            print(f"{entry.seq:7} {when} {actor:16} {entry.kind:18} {subject} {entry.detail}")
    return 0


def _signing_key(path: Path | None) -> Any:
    from affairs.app import read_signing_key  # noqa: PLC0415
    from hallkit.runtime.config import Places  # noqa: PLC0415

    return read_signing_key(path or Places.from_environment().credentials / "signing.pem")


def _public_key(path: Path | None) -> Ed25519PublicKey:
    """Of a file with the public key alone, as whoever audits has it, or with the node's own."""
    if path is None:
        found: Ed25519PublicKey = _signing_key(None).public_key()
        return found
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        key = _signing_key(path).public_key()
    except OSError as exc:
        raise TrustError(f"{path.name}: {type(exc).__name__}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError(f"{path.name}: must be an Ed25519 key")
    return key


def _read_anchor(path: Path) -> Head:
    from affairs.audit import Head  # noqa: PLC0415

    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Head(
            str(told["kind"]),
            int(told["seq"]),
            int(told["at_ms"]),
            str(told["hash"]),
            str(told["signature"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TrustError(f"{path.name}: is no anchor ({type(exc).__name__})") from exc
