"""Content Credentials made for tests: a certificate chain of their own, and signed files."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png"}


@dataclass(frozen=True)
class Chain:
    """A signer's certificate with its authority's, the signer's key, and the authority's alone."""

    certificates: bytes
    key: bytes
    authority: str


def make_chain(revocation_server: str | None = None) -> Chain:
    """A new authority and a signer of it (es256); certificates name the server, if given."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Example Authority", "Example Root")
    authority = (
        _certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), True)
        .sign(authority_key, hashes.SHA256())
    )
    builder = (
        _certificate(_name("Example Newsroom", "Example Camera"), authority_name, key)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_usage(digital_signature=True), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
        )
    )
    if revocation_server:
        where = x509.UniformResourceIdentifier(revocation_server)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    signer = builder.sign(authority_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    return Chain(
        certificates=signer.public_bytes(pem) + authority.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        authority=authority.public_bytes(pem).decode(),
    )


def manifest(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Claims: made with Example Editor, captured, and then what `actions` say."""
    created = {"action": "c2pa.created", "digitalSourceType": CAPTURE}
    return {
        "claim_generator_info": [{"name": "Example Editor", "version": "2.1"}],
        "title": "Example clip",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [created, *actions]}}],
        **more,
    }


def sign(
    source: Path,
    target: Path,
    chain: Chain,
    claims: dict[str, Any] | None = None,
    *,
    address: str | None = None,
) -> None:
    """Write a signed copy; with `address`, the claims themselves are left out and lie there."""
    information = c2pa.C2paSignerInfo(
        alg=b"es256", sign_cert=chain.certificates, private_key=chain.key, ta_url=None
    )
    builder = c2pa.Builder(json.dumps(claims or manifest()))
    if address:
        builder.set_no_embed()
        builder.set_remote_url(address)
    with (
        c2pa.Signer.from_info(information) as signer,
        source.open("rb") as old,
        target.open("w+b") as new,
    ):
        builder.sign(signer, TYPES[source.suffix], old, new)


def _name(organisation: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _usage(**chosen: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
             "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in names})
