package bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** What messages' bytes say. */
interface Decoder {
    long id(byte[] key) throws IOException;

    Row row(byte[] value) throws IOException;

    final class Json implements Decoder {
        private record Key(long id) {}

        private final ObjectReader keys = new ObjectMapper().readerFor(Key.class);
        private final ObjectReader rows = new ObjectMapper().readerFor(Row.class);

        @Override
        public long id(byte[] key) throws IOException {
            return keys.<Key>readValue(key).id();
        }

        @Override
        public Row row(byte[] value) throws IOException {
            return rows.readValue(value);
        }
    }

    /** Confluent's framing: a zero, the schema's id in four bytes, the datum. */
    final class Avro implements Decoder {
        private static final int FRAME_BYTES = 5;

        private final String registry;
        private final HttpClient http = HttpClient.newHttpClient();
        private final Map<Integer, Schema> schemas = new ConcurrentHashMap<>();
        private final ThreadLocal<Map<Integer, GenericDatumReader<GenericRecord>>> readers =
                ThreadLocal.withInitial(ConcurrentHashMap::new);
        private final ThreadLocal<BinaryDecoder> decoders = new ThreadLocal<>();

        Avro(String registry) {
            this.registry = registry;
        }

        @Override
        public long id(byte[] key) throws IOException {
            return (Long) read(key).get("id");
        }

        @Override
        public Row row(byte[] value) throws IOException {
            // By position: as the schema has them.
            GenericRecord record = read(value);
            Object email = record.get(2);
            return new Row(
                    (Long) record.get(0),
                    record.get(1).toString(),
                    email == null ? null : email.toString(),
                    (Boolean) record.get(3),
                    (Double) record.get(4),
                    (Long) record.get(5),
                    (Integer) record.get(6),
                    (Long) record.get(7));
        }

        private GenericRecord read(byte[] bytes) throws IOException {
            BinaryDecoder decoder =
                    DecoderFactory.get().binaryDecoder(bytes, FRAME_BYTES, bytes.length - FRAME_BYTES, decoders.get());
            decoders.set(decoder);
            int id = ByteBuffer.wrap(bytes).getInt(1);
            return readers.get().computeIfAbsent(id, key -> new GenericDatumReader<>(schema(key))).read(null, decoder);
        }

        private Schema schema(int id) {
            return schemas.computeIfAbsent(id, key -> {
                try {
                    HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + key)).build();
                    String answer = http.send(request, HttpResponse.BodyHandlers.ofString()).body();
                    return new Schema.Parser().parse(new ObjectMapper().readTree(answer).get("schema").asText());
                } catch (IOException | InterruptedException e) {
                    throw new IllegalStateException("schema " + key, e);
                }
            });
        }
    }
}
