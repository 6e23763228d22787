package bench;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.listener.BatchMessageListener;
import org.springframework.kafka.listener.CommonContainerStoppingErrorHandler;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ConsumerAwareRebalanceListener;
import org.springframework.kafka.listener.ContainerProperties;

/**
 * A batch listener for one table, tuned by hand: a thread for each partition, large polls, the last message of each
 * key, one transaction a poll.
 *
 * <p>Arguments: bootstrap servers, the database's URL, partitions, {@code reduce|all}, {@code unnest|batch}, and the
 * schema registry where messages are in Avro. Each line on standard input is a topic and a group: it is consumed to its
 * end, with {@code assigned} and {@code done} said on standard output.
 */
public final class Listener {
    private static final int POLL_RECORDS = 2_000;

    private final String servers;
    private final int partitions;
    private final Decoder decoder;
    private final Writer writer;

    private Listener(String[] arguments) {
        servers = arguments[0];
        partitions = Integer.parseInt(arguments[2]);
        decoder = arguments.length > 5 ? new Decoder.Avro(arguments[5]) : new Decoder.Json();
        writer = new Writer(pool(arguments[1], partitions), arguments[3].equals("reduce"), arguments[4].equals("unnest"));
    }

    public static void main(String[] arguments) throws Exception {
        Listener listener = new Listener(arguments);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            listener.consume(words[0], words[1]);
        }
    }

    private static HikariDataSource pool(String url, int connections) {
        URI uri = URI.create(url);
        String[] user = uri.getUserInfo().split(":");
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(
                "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath() + "?reWriteBatchedInserts=true");
        config.setUsername(user[0]);
        config.setPassword(user.length > 1 ? user[1] : "");
        config.setMaximumPoolSize(connections);
        return new HikariDataSource(config);
    }

    private void consume(String topic, String group) throws Exception {
        Map<TopicPartition, Long> missing = new ConcurrentHashMap<>(ends(topic));
        missing.values().removeIf(end -> end == 0);
        CountDownLatch ended = new CountDownLatch(missing.size());
        BatchMessageListener<byte[], byte[]> handler = records -> {
            writer.write(records, decoder);
            Map<TopicPartition, Long> last = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                last.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
            }
            last.forEach((partition, position) -> {
                if (missing.remove(partition, position)) {
                    ended.countDown();
                }
            });
        };
        ContainerProperties properties = new ContainerProperties(topic);
        properties.setGroupId(group);
        properties.setMessageListener(handler);
        properties.setAckMode(ContainerProperties.AckMode.BATCH);
        properties.setSyncCommits(false);
        properties.setConsumerRebalanceListener(new Assigned());
        var container = new ConcurrentMessageListenerContainer<>(
                new DefaultKafkaConsumerFactory<byte[], byte[]>(consumerConfig()), properties);
        container.setConcurrency(partitions);
        container.setCommonErrorHandler(new CommonContainerStoppingErrorHandler());
        container.start();
        ended.await();
        // What is not committed yet is, when the consumers close.
        container.stop();
        System.out.println("done");
    }

    private Map<String, Object> consumerConfig() {
        return Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, servers,
                ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class,
                ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG, POLL_RECORDS,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 * 1024 * 1024);
    }

    private Map<TopicPartition, Long> ends(String topic) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            Map<TopicPartition, OffsetSpec> asked = IntStream.range(0, partitions)
                    .boxed()
                    .collect(Collectors.toMap(number -> new TopicPartition(topic, number), number -> OffsetSpec.latest()));
            Map<TopicPartition, Long> ends = new HashMap<>();
            admin.listOffsets(asked).all().get().forEach((partition, end) -> ends.put(partition, end.offset()));
            return ends;
        }
    }

    private static final class Assigned implements ConsumerAwareRebalanceListener {
        @Override
        public void onPartitionsAssigned(Consumer<?, ?> consumer, Collection<TopicPartition> assigned) {
            if (!assigned.isEmpty()) {
                System.out.println("assigned");
            }
        }
    }
}
