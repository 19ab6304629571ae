import part
from posthog import Posthog

client = Posthog("key", host=part.ADDRESS, gzip=True, flush_at=7, flush_interval=0.1, max_retries=30)
client.capture("viewed", distinct_id=part.ANONYMOUS)
client.capture("$identify", distinct_id=part.USER, properties={"$anon_distinct_id": part.ANONYMOUS})
client.set(distinct_id=part.USER, properties=part.TRAITS)
client.capture("$pageview", distinct_id=part.USER, properties={"$current_url": "/home"})
client.capture("$screen", distinct_id=part.USER, properties={"$screen_name": "Main"})
client.group_identify("company", "g1", {"size": 3}, distinct_id=part.USER)
client.capture("before", distinct_id=part.OLD)
client.alias(part.OLD, part.USER)
client.capture("order", distinct_id=part.USER, properties={**part.ORDER, "$set": {"bought": True}})
client.flush()
part.half()
for n in part.TICKS:
    client.capture("tick", distinct_id=part.USER, properties={"n": n})
client.shutdown()
