import java.io.File;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * Segmentation as it is usually written on Flink: state keyed by user, every rule evaluated on every event, changes of
 * membership out. Arguments: DIR PARALLELISM heap|rocksdb, where DIR is what bench/generate.py made.
 *
 * <p>Chosen in Flink's favour: the rules are compiled once rather than read from broadcast state on each event, objects
 * are reused, nothing is checkpointed, the output is discarded. The time is that of the job with the start of its local
 * cluster, which is printed too, and without the start of the JVM.
 *
 * <p>A file has one reader, which keeps the order of each user's events: reading and parsing take one thread whatever
 * the parallelism, and the keyed evaluation has PARALLELISM threads besides. Where DIR/events.ndjson is a directory of
 * files, PARALLELISM threads read it; for the same changes all events of a user have to be in one file.
 */
public class SegmentJob {
    /** When the first reader was ready. The cluster lives in this JVM, so that a static reaches it. */
    static final AtomicLong STARTED = new AtomicLong();

    public static class Event {
        public String user;
        public String type;
        public double amount; // NaN where there is none
        public String category;

        public Event() {}
    }

    /** @param category what the event's category has to be, or null */
    record Feature(String aggregate, String event, String category) {}

    interface Predicate extends Serializable {
        boolean test(double[] values);
    }

    /** A comparison with a maximum of nothing, which is NaN, is false. */
    static Predicate compile(JsonNode rule, Map<String, Integer> index) {
        if (rule.has("conditions")) {
            List<Predicate> list = new ArrayList<>();
            for (JsonNode c : rule.get("conditions")) list.add(compile(c, index));
            Predicate[] all = list.toArray(new Predicate[0]);
            switch (rule.get("logic").asText()) {
                case "AND": return v -> { for (Predicate p : all) if (!p.test(v)) return false; return true; };
                case "OR": return v -> { for (Predicate p : all) if (p.test(v)) return true; return false; };
                case "NOT": return v -> { for (Predicate p : all) if (p.test(v)) return false; return true; };
                default: throw new IllegalArgumentException("unknown logic: " + rule);
            }
        }
        int i = index.get(rule.get("field").asText());
        double c = rule.get("value").asDouble();
        switch (rule.get("operator").asText()) {
            case "gt": return v -> v[i] > c;
            case "gte": return v -> v[i] >= c;
            case "lt": return v -> v[i] < c;
            case "lte": return v -> v[i] <= c;
            default: throw new IllegalArgumentException("unknown operator: " + rule);
        }
    }

    static class Parse extends RichMapFunction<String, Event> {
        transient ObjectMapper mapper;

        @Override public void open(OpenContext context) {
            mapper = new ObjectMapper();
            STARTED.compareAndSet(0, System.nanoTime());
        }

        @Override public Event map(String line) throws Exception {
            JsonNode n = mapper.readTree(line);
            Event e = new Event();
            e.user = n.get("userId").asText();
            e.type = n.get("eventType").asText();
            JsonNode amount = n.get("properties").get("amount");
            e.amount = amount == null ? Double.NaN : amount.asDouble();
            JsonNode category = n.get("properties").get("category");
            e.category = category == null ? "" : category.asText();
            return e;
        }
    }

    static class Evaluate extends KeyedProcessFunction<String, Event, String> {
        final String dir;
        final LongCounter entered = new LongCounter();
        final LongCounter left = new LongCounter();
        transient ValueState<double[]> profile; // the value of each feature
        transient ValueState<long[]> membership; // a bit for each rule
        transient List<Feature> features;
        transient Map<String, List<Integer>> byEvent; // the features that a type of event changes
        transient Predicate[] rules;
        transient String[] ids;

        Evaluate(String dir) {
            this.dir = dir;
        }

        @Override public void open(OpenContext context) throws Exception {
            getRuntimeContext().addAccumulator("entered", entered);
            getRuntimeContext().addAccumulator("left", left);
            profile = getRuntimeContext().getState(new ValueStateDescriptor<>(
                    "profile", PrimitiveArrayTypeInfo.DOUBLE_PRIMITIVE_ARRAY_TYPE_INFO));
            membership = getRuntimeContext().getState(new ValueStateDescriptor<>(
                    "membership", PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO));
            ObjectMapper mapper = new ObjectMapper();
            features = new ArrayList<>();
            byEvent = new HashMap<>();
            Map<String, Integer> index = new HashMap<>();
            for (JsonNode n : mapper.readTree(new File(dir, "features.json"))) {
                String category = n.has("where") ? n.get("where").get(0).get("value").asText() : null;
                String event = n.get("event").asText();
                index.put(n.get("name").asText(), features.size());
                byEvent.computeIfAbsent(event, k -> new ArrayList<>()).add(features.size());
                features.add(new Feature(n.get("aggregate").asText(), event, category));
            }
            JsonNode all = mapper.readTree(new File(dir, "rules.json"));
            rules = new Predicate[all.size()];
            ids = new String[all.size()];
            for (int r = 0; r < rules.length; r++) {
                rules[r] = compile(all.get(r).get("rules"), index);
                ids[r] = all.get(r).get("id").asText();
            }
        }

        @Override public void processElement(Event e, Context context, Collector<String> out) throws Exception {
            double[] v = profile.value();
            if (v == null) {
                v = new double[features.size()];
                for (int i = 0; i < v.length; i++) if (features.get(i).aggregate.equals("max")) v[i] = Double.NaN;
            }
            for (int i : byEvent.getOrDefault(e.type, List.of())) {
                Feature f = features.get(i);
                if (f.category != null && !f.category.equals(e.category)) continue;
                switch (f.aggregate) {
                    case "count": v[i] += 1; break;
                    case "sum": v[i] += e.amount; break;
                    case "max": v[i] = Double.isNaN(v[i]) ? e.amount : Math.max(v[i], e.amount); break;
                    default: throw new IllegalArgumentException("unknown aggregate: " + f);
                }
            }
            profile.update(v);
            long[] old = membership.value();
            long[] now = new long[(rules.length + 63) >> 6];
            for (int r = 0; r < rules.length; r++) if (rules[r].test(v)) now[r >> 6] |= 1L << (r & 63);
            boolean changed = false;
            for (int w = 0; w < now.length; w++) {
                for (long d = now[w] ^ (old == null ? 0 : old[w]); d != 0; d &= d - 1) {
                    int bit = Long.numberOfTrailingZeros(d);
                    boolean in = (now[w] >> bit & 1) == 1;
                    (in ? entered : left).add(1L);
                    out.collect(e.user + "\t" + ids[(w << 6) + bit] + "\t" + (in ? "+1" : "-1"));
                    changed = true;
                }
            }
            if (changed) membership.update(now);
        }
    }

    public static void main(String[] args) throws Exception {
        String dir = args[0], parallelism = args[1], backend = args[2];
        Configuration conf = new Configuration();
        conf.setString("state.backend.type", backend.equals("rocksdb") ? "rocksdb" : "hashmap");
        conf.setString("taskmanager.memory.managed.size", "2g"); // RocksDB's caches and write buffers
        conf.setString("taskmanager.numberOfTaskSlots", parallelism);
        conf.setString("pipeline.object-reuse", "true");
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(parallelism), conf);
        Path events = new Path(new File(dir, "events.ndjson").toURI());
        env.fromSource(FileSource.forRecordStreamFormat(new TextLineInputFormat(), events).build(),
                        WatermarkStrategy.noWatermarks(), "events")
                .map(new Parse()).returns(Event.class)
                .keyBy(e -> e.user, Types.STRING)
                .process(new Evaluate(dir)).returns(Types.STRING)
                .sinkTo(new DiscardingSink<>());
        long start = System.nanoTime();
        JobExecutionResult result = env.execute("segments");
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf("start of the cluster, within the time below: %.2f s%n", (STARTED.get() - start) / 1e9);
        System.out.printf("memberships: %d entered, %d left%n",
                (Long) result.getAccumulatorResult("entered"), (Long) result.getAccumulatorResult("left"));
        System.out.printf("flink %s p=%s: %.2f s%n", backend, parallelism, seconds);
    }
}
