import part
from segment.analytics.client import Client

client = Client(write_key="key", host=part.ADDRESS, gzip=True, upload_size=7, upload_interval=0.1, max_retries=30)
client.track(anonymous_id=part.ANONYMOUS, event="viewed")
client.identify(part.USER, part.TRAITS, anonymous_id=part.ANONYMOUS)
client.page(part.USER, name="Home", properties={"url": "/home"})
client.screen(part.USER, name="Main")
client.group(part.USER, "g1", {"size": 3})
client.track(anonymous_id=part.OLD, event="before")
client.alias(part.OLD, part.USER)
client.track(part.USER, "order", part.ORDER)
client.flush()
part.half()
for n in part.TICKS:
    client.track(part.USER, "tick", {"n": n})
client.flush()
