package bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import javax.sql.DataSource;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** A poll's messages into the table, in one transaction. */
final class Writer {
    private static final String SET = " on conflict (id) do update set name = excluded.name, email = excluded.email,"
            + " active = excluded.active, score = excluded.score, version = excluded.version, born = excluded.born,"
            + " updated = excluded.updated";
    private static final String COLUMNS = "insert into accounts (id, name, email, active, score, version, born, updated)";
    private static final String BATCH = COLUMNS + " values (?, ?, ?, ?, ?, ?, ?, ?)" + SET;
    private static final String UNNEST = COLUMNS + " select * from unnest(?::bigint[], ?::text[], ?::text[], ?::bool[],"
            + " ?::float8[], ?::bigint[], ?::date[], ?::timestamp[])" + SET;
    private static final String DELETE = "delete from accounts where id = any(?)";

    private final JdbcTemplate jdbc;
    private final TransactionTemplate transaction;
    private final boolean reduce;
    private final boolean unnest;

    Writer(DataSource pool, boolean reduce, boolean unnest) {
        jdbc = new JdbcTemplate(pool);
        transaction = new TransactionTemplate(new DataSourceTransactionManager(pool));
        this.reduce = reduce;
        this.unnest = unnest;
    }

    void write(List<ConsumerRecord<byte[], byte[]>> records, Decoder decoder) {
        List<Map<Long, Optional<Row>>> parts = parts(records, decoder);
        transaction.executeWithoutResult(status -> parts.forEach(this::writePart));
    }

    /** Each has a key once: the last message of it, or, where nothing is reduced, those up to the next of a key. */
    private List<Map<Long, Optional<Row>>> parts(List<ConsumerRecord<byte[], byte[]>> records, Decoder decoder) {
        List<Map<Long, Optional<Row>>> parts = new ArrayList<>();
        Map<Long, Optional<Row>> part = new LinkedHashMap<>();
        parts.add(part);
        try {
            for (ConsumerRecord<byte[], byte[]> record : records) {
                long id = decoder.id(record.key());
                Optional<Row> row = record.value() == null ? Optional.empty() : Optional.of(decoder.row(record.value()));
                if (!reduce && part.containsKey(id)) {
                    part = new LinkedHashMap<>();
                    parts.add(part);
                }
                part.put(id, row);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return parts;
    }

    private void writePart(Map<Long, Optional<Row>> part) {
        List<Row> rows = part.values().stream().flatMap(Optional::stream).toList();
        Long[] deleted = part.entrySet().stream()
                .filter(entry -> entry.getValue().isEmpty())
                .map(Map.Entry::getKey)
                .toArray(Long[]::new);
        if (deleted.length > 0) {
            jdbc.update(connection -> {
                PreparedStatement statement = connection.prepareStatement(DELETE);
                statement.setArray(1, connection.createArrayOf("bigint", deleted));
                return statement;
            });
        }
        if (rows.isEmpty()) {
            return;
        }
        if (unnest) {
            jdbc.update(connection -> unnest(connection, rows));
        } else {
            jdbc.batchUpdate(BATCH, rows, rows.size(), Writer::set);
        }
    }

    private static void set(PreparedStatement statement, Row row) throws SQLException {
        statement.setLong(1, row.id());
        statement.setString(2, row.name());
        statement.setString(3, row.email());
        statement.setBoolean(4, row.active());
        statement.setDouble(5, row.score());
        statement.setLong(6, row.version());
        statement.setObject(7, LocalDate.ofEpochDay(row.born()));
        statement.setObject(8, updated(row));
    }

    private static LocalDateTime updated(Row row) {
        long micros = row.updated();
        int nanos = (int) Math.floorMod(micros, 1_000_000L) * 1_000;
        return LocalDateTime.ofEpochSecond(Math.floorDiv(micros, 1_000_000L), nanos, ZoneOffset.UTC);
    }

    private static PreparedStatement unnest(Connection connection, Collection<Row> rows) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(UNNEST);
        statement.setArray(1, array(connection, "bigint", rows, Row::id));
        statement.setArray(2, array(connection, "text", rows, Row::name));
        statement.setArray(3, array(connection, "text", rows, Row::email));
        statement.setArray(4, array(connection, "bool", rows, Row::active));
        statement.setArray(5, array(connection, "float8", rows, Row::score));
        statement.setArray(6, array(connection, "bigint", rows, Row::version));
        // As text: the driver has no binary form for arrays of these.
        statement.setArray(7, array(connection, "text", rows, row -> LocalDate.ofEpochDay(row.born()).toString()));
        statement.setArray(8, array(connection, "text", rows, row -> updated(row).toString()));
        return statement;
    }

    private static Array array(Connection connection, String type, Collection<Row> rows, Function<Row, Object> column)
            throws SQLException {
        return connection.createArrayOf(type, rows.stream().map(column).toArray());
    }
}
