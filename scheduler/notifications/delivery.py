"""Handing one message to one channel, within a time limit. What goes wrong is said without any secret."""

from __future__ import annotations

import http.client
import json
import os
import signal
import smtplib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import SpotwiseError
from ..jobfile.notify_spec import NotifyChannel

TIMEOUT_S = 10.0  # of a connection, and of each answer
COMMAND_TIMEOUT_S = 30.0

_FAULTS = (OSError, ValueError, smtplib.SMTPException, http.client.HTTPException)


class DeliveryError(SpotwiseError):
    """A channel did not take a message."""


def deliver(channel: NotifyChannel, message: Mapping[str, Any], env: Mapping[str, str]) -> None:
    """Hand the message over; returns once the channel has taken it.

    Args:
        env: where the variables that the channel names are looked up.

    Raises:
        DeliveryError: it was not taken. Its text holds no secret.
    """
    try:
        _SENDERS[channel.type](channel, message, env)
    except urllib.error.HTTPError as error:
        raise DeliveryError(f"{channel.type}: the server answers {error.code}") from None
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(f"{channel.type}: the server answers {error.smtp_code}") from None
    except (
        OSError,
        ValueError,
        smtplib.SMTPException,
        http.client.HTTPException,
    ) as error:  # the text of an error may repeat what it was given
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"{channel.type}: {type(reason).__name__}") from None


def _webhook(channel: NotifyChannel, message: Mapping[str, Any], env: Mapping[str, str]) -> None:
    token = {} if channel.token_env is None else {"Authorization": f"Bearer {_value(channel.token_env, env)}"}
    _post(channel, message, env, {"Idempotency-Key": str(message["id"]), **token})


def _slack(channel: NotifyChannel, message: Mapping[str, Any], env: Mapping[str, str]) -> None:
    _post(channel, {"text": message["text"]}, env, {})


def _post(channel: NotifyChannel, body: Mapping[str, Any], env: Mapping[str, str], headers: Mapping[str, str]) -> None:
    url = _value(str(channel.url_env), env)
    if urlsplit(url).scheme not in ("http", "https"):
        raise DeliveryError(f"{channel.type}: {channel.url_env} holds no http or https URL")
    content = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), content, method="POST")  # noqa: S310 - see above
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
        pass


def _email(channel: NotifyChannel, message: Mapping[str, Any], env: Mapping[str, str]) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"spotwise: {' '.join(str(message['text']).split())[:120]}"
    mail["From"], mail["To"] = channel.sender, ", ".join(channel.to)
    mail["Message-ID"] = f"<{str(message['id']).replace(':', '.').replace(' ', '.')}@spotwise>"
    mail.set_content(f"{message['text']}\n\n{json.dumps(message, indent=2)}\n")
    with smtplib.SMTP(str(channel.host), channel.port, timeout=TIMEOUT_S) as server:
        if channel.starttls:
            server.starttls()
        if channel.user is not None:
            server.login(channel.user, _value(str(channel.password_env), env))
        server.send_message(mail)


def _command(channel: NotifyChannel, message: Mapping[str, Any], env: Mapping[str, str]) -> None:
    with subprocess.Popen(
        ["bash", "-c", str(channel.command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**env, "SPOTWISE_EVENT": str(message["event"]), "SPOTWISE_RUN_ID": str(message["run"])},
    ) as process:
        try:
            process.communicate(json.dumps(message).encode(), timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise DeliveryError(f"command: took longer than {COMMAND_TIMEOUT_S:g} s and was ended") from None
    if process.returncode != 0:
        raise DeliveryError(f"command: exit code {process.returncode}")


def _value(name: str, env: Mapping[str, str]) -> str:
    value = env.get(name)
    if not value:
        raise DeliveryError(f"{name} is not set in the environment of the process that delivers; export it")
    return value


_SENDERS = {"webhook": _webhook, "slack": _slack, "email": _email, "command": _command}
