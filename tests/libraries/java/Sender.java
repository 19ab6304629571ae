import com.segment.analytics.Analytics;
import com.segment.analytics.messages.AliasMessage;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.MessageBuilder;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.ScreenMessage;
import com.segment.analytics.messages.TrackMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Instant;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Sends with Segment's library for Java: see run.py. */
public class Sender {
  public static void main(String[] arguments) throws Exception {
    String name = System.getenv("AUDIENCE_LIBRARY");
    String user = name + "-user", anonymous = name + "-anonymous", old = name + "-old";
    Analytics analytics =
        Analytics.builder("key")
            .endpoint(System.getenv("AUDIENCE_ADDRESS"))
            .flushQueueSize(7)
            .flushInterval(1, TimeUnit.SECONDS)
            .retries(30)
            .build();
    Map<String, Object> traits = Map.of("plan", "pro", "city", "Köln 😀", "address", Map.of("zip", "50667"));
    Map<String, Object> order = new HashMap<>();
    order.put("total", 12.5);
    order.put("lines", List.of(Map.of("sku", "a", "n", 2)));
    order.put("at", Date.from(Instant.parse("2026-01-02T03:04:05.678Z")));
    order.put("none", null);
    List<MessageBuilder<?, ?>> messages =
        List.of(
            TrackMessage.builder("viewed").anonymousId(anonymous),
            IdentifyMessage.builder().userId(user).anonymousId(anonymous).traits(traits),
            PageMessage.builder("Home").userId(user).properties(Map.of("url", "/home")),
            ScreenMessage.builder("Main").userId(user),
            GroupMessage.builder("g1").userId(user).traits(Map.of("size", 3)),
            TrackMessage.builder("before").anonymousId(old),
            AliasMessage.builder(old).userId(user),
            TrackMessage.builder("order").userId(user).properties(order));
    messages.forEach(analytics::enqueue);
    analytics.flush();
    Thread.sleep(1500);
    System.out.println("sent");
    new BufferedReader(new InputStreamReader(System.in)).readLine();
    for (int n = 1; n <= 60; n++) {
      analytics.enqueue(TrackMessage.builder("tick").userId(user).properties(Map.of("n", n)));
    }
    analytics.shutdown();
  }
}
