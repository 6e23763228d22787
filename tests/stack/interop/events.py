"""Events to and from Python, by confluent-kafka's own Avro serializers.

events.py write BROKER REGISTRY TOPIC         writes `full` and `bare`
events.py read BROKER REGISTRY TOPIC GROUP    reads both back and compares them, values and bytes; prints what it found
"""

import datetime
import decimal
import json
import pathlib
import sys
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

HERE = pathlib.Path(__file__).parent
EVENT = (HERE / "event.avsc").read_text()
KEY = (HERE / "key.avsc").read_text()


def event(full):
    return {
        "id": uuid.UUID(int=0x123456789ABCDEF0123456789ABCDEF0),
        "day": datetime.date(1969, 12, 31),
        "at": datetime.datetime(2024, 2, 29, 10, 34, 56, 789012, tzinfo=datetime.timezone.utc),
        "time": datetime.time(23, 59, 59, 999999),
        "total": decimal.Decimal("-1234567.89"),
        "kind": "Closed" if full else "Opened",
        "tags": ["grüße 😀", ""] if full else [],
        "counts": {"a": -1} if full else {},
        "note": "note" if full else None,
        "raw": b"\x00\xff" if full else b"",
        "ratio": 0.1,
        "inner": {"n": 64} if full else None,
    }


EVENTS = {"full": event(True), "bare": event(False)}


def serializers(registry):
    return AvroSerializer(registry, KEY), AvroSerializer(registry, EVENT)


def write(broker, registry, topic):
    producer = Producer({"bootstrap.servers": broker})
    of_key, of_value = serializers(registry)
    for key, value in EVENTS.items():
        producer.produce(
            topic,
            key=of_key(key, SerializationContext(topic, MessageField.KEY)),
            value=of_value(value, SerializationContext(topic, MessageField.VALUE)),
        )
    producer.flush(30)


def read(broker, registry, topic, group):
    consumer = Consumer({"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    key_of, value_of = AvroDeserializer(registry), AvroDeserializer(registry)
    of_key, of_value = serializers(registry)
    found = {}
    for _ in range(600):
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        of_message = SerializationContext(topic, MessageField.KEY), SerializationContext(topic, MessageField.VALUE)
        key = key_of(message.key(), of_message[0])
        value = value_of(message.value(), of_message[1])
        found[key] = {
            "value": value == EVENTS[key],
            # What Python writes for the same value under the same subject.
            "key_bytes": of_key(key, of_message[0]) == message.key(),
            "value_bytes": of_value(EVENTS[key], of_message[1]) == message.value(),
        }
        if len(found) == len(EVENTS):
            break
    consumer.close()
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    command, broker, url, *rest = sys.argv[1:]
    {"write": write, "read": read}[command](broker, SchemaRegistryClient({"url": url, "timeout": 20}), *rest)
