"""The table of `just bench` with the Python library django-kafka: run.py SERVERS DATABASE_URL TOPIC GROUP.

Consumes the topic to its end as `kafka_consume` does, with the library's own loop, and says `assigned` and `done` on
standard error.
"""

import datetime
import json
import sys
import threading
from urllib.parse import urlparse

import django
from confluent_kafka import Consumer as Client
from confluent_kafka import TopicPartition
from django.conf import settings

SERVERS, DATABASE, TOPIC, GROUP = sys.argv[1:]
ADDRESS = urlparse(DATABASE)

settings.configure(
    INSTALLED_APPS=["django_kafka"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": ADDRESS.path.removeprefix("/"),
            "USER": ADDRESS.username,
            "PASSWORD": ADDRESS.password,
            "HOST": ADDRESS.hostname,
            "PORT": ADDRESS.port,
        },
    },
    USE_TZ=False,
    DJANGO_KAFKA={"GLOBAL_CONFIG": {"bootstrap.servers": SERVERS}},
)
django.setup()

# Behind the set-up, as any Django code.
from django.db import models  # noqa: E402
from django_kafka.consumer import Consumer, Topics  # noqa: E402
from django_kafka.topic.model import ModelTopicConsumer  # noqa: E402


class Account(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    email = models.TextField(null=True)
    active = models.BooleanField()
    score = models.FloatField()
    version = models.BigIntegerField()
    born = models.DateField()
    updated = models.DateTimeField()

    class Meta:
        app_label = "bench"
        db_table = "accounts"
        managed = False


class JsonDeserializer:
    def __call__(self, value, context=None):
        return None if value is None else json.loads(value)


class AccountTopic(ModelTopicConsumer):
    name = TOPIC
    model = Account
    key_deserializer = JsonDeserializer
    value_deserializer = JsonDeserializer

    def transform_born(self, model, name, value):
        return name, datetime.date(1970, 1, 1) + datetime.timedelta(days=value)

    def transform_updated(self, model, name, value):
        return name, datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=value)


class AccountConsumer(Consumer):
    topics = Topics(AccountTopic())
    config = {"group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.offset.store": False}

    def __init__(self, messages):
        super().__init__()
        self.missing = messages
        self.ended = threading.Event()

    def subscribe(self):
        self._consumer.subscribe(self.topics.names, on_assign=lambda *_: print("assigned", file=sys.stderr, flush=True))

    def process_message(self, msg):
        super().process_message(msg)
        self.missing -= 1
        if not self.missing:
            self.ended.set()


def messages():
    client = Client({"bootstrap.servers": SERVERS, "group.id": GROUP})
    partitions = client.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    count = sum(client.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=10)[1] for partition in partitions)
    client.close()
    return count


consumer = AccountConsumer(messages())
# Closing commits what is stored.
consumer.start(consumer.ended)
print("done", file=sys.stderr, flush=True)
