"""Replaces the classes of the standard module by ours, as gevent-monkey does, after a context was made: all settings stay usable."""

import ssl

early = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
standard = ssl.SSLContext

from gevent import ssl as ours  # noqa: E402

for name in ours.__implements__:
    setattr(ssl, name, getattr(ours, name))
for name, each in ours._context_patches().items():
    setattr(standard, name, each)

for context in (early, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context(), ours.create_default_context()):
    context.check_hostname = False
    context.options |= ssl.OP_NO_TICKET
    assert context.options & ssl.OP_NO_TICKET, context.options
    context.verify_mode = ssl.CERT_NONE
    assert context.verify_mode is ssl.CERT_NONE, context.verify_mode
    context.verify_flags = ssl.VERIFY_CRL_CHECK_LEAF
    assert context.verify_flags is ssl.VERIFY_CRL_CHECK_LEAF, context.verify_flags
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert context.minimum_version is context.maximum_version is ssl.TLSVersion.TLSv1_2
    context._msg_callback = print
    assert context._msg_callback is print
    assert isinstance(context, ssl.SSLContext) is (context is not early)

print("done")
