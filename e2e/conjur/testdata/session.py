"""Does with CyberArk's own client what its users do, and prints what came of it as one JSON object."""
import base64
import json
import os
import sys
import tempfile

from conjur_api import Client
from conjur_api.errors.errors import HttpStatusError
from conjur_api.models import ConjurConnectionInfo, CredentialsData, Resource, SslVerificationMode
from conjur_api.providers import (
    AuthnAuthenticationStrategy,
    JWTAuthenticationStrategy,
    SimpleCredentialsProvider,
)


def connect(given, strategy=None, login=None, key=None, service=None):
    """Gives a client of one login: a key unless another strategy is given."""
    info = ConjurConnectionInfo(given["url"], given["account"], given.get("ca"), service)
    if strategy is None:
        credentials = SimpleCredentialsProvider()
        credentials.save(CredentialsData(username=login, password=key, machine=given["url"]))
        strategy = AuthnAuthenticationStrategy(credentials)
    mode = SslVerificationMode.CA_BUNDLE if given.get("ca") else SslVerificationMode.TRUST_STORE
    return Client(info, ssl_verification_mode=mode, authn_strategy=strategy, async_mode=False)


def status(call):
    """Gives the status that a call failed with; 0: it did not."""
    try:
        call()
    except HttpStatusError as err:
        return err.status
    return 0


def with_policy(text, use):
    """Calls use with a file that holds a policy."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml", delete=False) as file:
        file.write(text)
    try:
        return use(file.name)
    finally:
        os.unlink(file.name)


def policies(admin, out):
    """Appends to, changes and replaces policies."""
    out["loaded"] = with_policy(
        "- !policy\n  id: app\n  body:\n  - &vars\n    - !variable db/password\n    - !variable other\n    - !variable spare\n"
        "  - !host gw\n  - !permit\n    role: !host gw\n    privileges: [read, execute]\n    resources: *vars\n",
        lambda f: admin.load_policy_file("root", f))
    out["updated"] = with_policy("- !delete\n  record: !variable spare\n", lambda f: admin.update_policy_file("app", f))
    out["refused deletion"] = status(lambda: with_policy("- !delete\n  record: !variable other\n", lambda f: admin.load_policy_file("app", f)))
    out["broken policy"] = status(lambda: with_policy("- !variable [", lambda f: admin.load_policy_file("app", f)))
    out["unknown record"] = status(lambda: with_policy(
        "- !permit\n  role: !host nobody\n  privilege: read\n  resource: !variable other\n", lambda f: admin.load_policy_file("app", f)))
    with_policy("- !variable kept\n- !variable gone\n", lambda f: admin.load_policy_file("app", f))
    with_policy("- !policy temporary\n", lambda f: admin.load_policy_file("root", f))
    with_policy("- !variable a\n- !variable b\n", lambda f: admin.load_policy_file("temporary", f))
    with_policy("- !variable b\n", lambda f: admin.replace_policy_file("temporary", f))


def secrets(admin, out):
    """Sets and reads values."""
    for value in ["first", "second", "second", "third"]:
        admin.set("app/db/password", value)
    admin.set("app/other", "another")
    out["get"] = admin.get("app/db/password").decode()
    out["get version"] = admin.get("app/db/password", "2").decode()
    out["get many"] = admin.get_many("app/db/password", "app/other")
    out["missing version"] = status(lambda: admin.get("app/db/password", "99"))
    out["missing"] = status(lambda: admin.get("app/none"))
    out["many with a missing one"] = status(lambda: admin.get_many("app/other", "app/none"))
    out["many with one twice"] = status(lambda: admin.get_many("app/other", "app/other"))
    out["empty"] = status(lambda: admin.set("app/other", ""))
    out["undeclared"] = status(lambda: admin.set("app/none", "value"))


def others(given, admin, out):
    """Looks around as a host, and changes its key."""
    key = out["loaded"]["created_roles"][given["account"] + ":host:app/gw"]["api_key"]
    host = connect(given, login="host/app/gw", key=key)
    out["host reads"] = host.get("app/other").decode()
    out["host writes"] = status(lambda: host.set("app/other", "x"))
    out["host lists"] = host.list({"kind": "variable"})
    out["list"] = admin.list({"kind": "variable"})
    out["page"] = admin.list({"kind": "variable", "limit": 1, "offset": 1})
    out["resource"] = sorted(admin.get_resource("variable", "app/db/password"))
    out["exists"] = [admin.resource_exists("variable", "app/other"), admin.resource_exists("variable", "app/none")]
    who = host.whoami()
    out["whoami"] = [sorted(who), who["account"], who["username"]]
    out["privileges"] = [
        host.check_privilege("variable", "app/other", "execute"),
        host.check_privilege("variable", "app/other", "update"),
        admin.check_privilege("variable", "app/other", "execute", given["account"] + ":host:app/gw"),
        admin.check_privilege("variable", "app/none", "execute"),
    ]
    fresh = admin.rotate_other_api_key(Resource("host", "app/gw"))
    out["rotated"] = [fresh != key, status(connect(given, login="host/app/gw", key=key).whoami),
                      connect(given, login="host/app/gw", key=fresh).whoami()["username"]]
    own = admin.rotate_personal_api_key("admin", given["key"])
    out["own rotated"] = connect(given, login="admin", key=own).whoami()["username"]


def logins(given, out):
    """Logs in by a token. The client's own login by certificate fails in release 0.2.0 before it sends anything."""
    out["jwt"] = connect(given, JWTAuthenticationStrategy("good.jwt.token"), service="k8s").whoami()["username"]
    out["bad jwt"] = status(connect(given, JWTAuthenticationStrategy("bad.jwt.token"), service="k8s").whoami)
    out["unknown service"] = status(connect(given, JWTAuthenticationStrategy("good.jwt.token"), service="none").whoami)


def main():
    given = json.load(sys.stdin)
    out = {}
    admin = connect(given, login="admin", key=given["key"])
    out["login"] = admin.login() == given["key"]
    token, _ = admin.authenticate()
    payload = json.loads(base64.urlsafe_b64decode(json.loads(token)["payload"]))
    out["token life"] = payload["exp"] - payload["iat"]
    out["wrong key"] = status(connect(given, login="admin", key="wrong").whoami)
    policies(admin, out)
    secrets(admin, out)
    logins(given, out)
    others(given, admin, out)
    json.dump(out, sys.stdout)


main()
