#include "routes.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "ecseq/core/error.hpp"
#include "explanation_text.hpp"

namespace service {
namespace {

/// Longer bodies are lists or long histories, which take their time.
constexpr std::size_t kQuickBytes = 8 << 10;

constexpr auto kRelaxed = std::memory_order_relaxed;

void append_numbers(std::string& out, const std::vector<float>& values) {
  if (values.size() == 1) return append_number(out, values[0]);
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append_number(out, values[i]);
  }
  out += ']';
}

void append_scored(std::string& out, const Scored& scored) {
  out += "\"score\":";
  append_numbers(out, scored.score);
  out += ",\"base\":";
  append_numbers(out, scored.base);
}

void append_error(std::string& out, const std::string& message) {
  out += "{\"error\":";
  append_text(out, message);
  out += '}';
}

/// name="value", the value escaped as Prometheus text asks for.
std::string label(const std::string& name, const std::string& value) {
  std::string out = name + "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

/// One answer for each item, in a list where they came in one.
template <class Message, class Use>
std::string answers(const Items<Message>& items, Use&& append_answer) {
  std::string out;
  if (items.is_list) out += '[';
  for (std::size_t i = 0; i < items.items.size(); ++i) {
    if (i > 0) out += ',';
    const auto* const message = std::get_if<Message>(&items.items[i]);
    if (!message) {
      append_error(out, std::get<std::string>(items.items[i]));
      continue;
    }
    try {
      append_answer(out, *message);
    } catch (const ecseq::InvalidArgument& error) {
      if (!items.is_list) throw;
      append_error(out, error.what());
    }
  }
  out += items.is_list ? "]\n" : "\n";
  return out;
}

}  // namespace

const Routes::Route* Routes::find(std::string_view path) {
  static constexpr Route kRoutes[] = {
      {"POST", "/event", &Routes::on_event},  {"POST", "/label", &Routes::on_label},
      {"POST", "/score", &Routes::on_score},  {"POST", "/explain", &Routes::on_explain},
      {"GET", "/health", &Routes::on_health}, {"GET", "/metrics", &Routes::on_metrics},
  };
  const auto found = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                  [&](const Route& route) { return route.path == path; });
  return found == std::end(kRoutes) ? nullptr : found;
}

bool Routes::is_slow(const Request& request) const {
  return request.body.size() > kQuickBytes || request.path == "/explain";
}

Answer Routes::answer(const Request& request) {
  const Route* const route = find(request.path);
  if (!route) return error_answer(404, "no such path");
  if (request.method != route->method) {
    Answer answer = error_answer(405, "another method; see the header Allow");
    answer.allow = route->method;
    return answer;
  }
  try {
    return (this->*route->answer)(request);
  } catch (const BadMessage& error) {
    return error_answer(400, error.what());
  } catch (const ecseq::InvalidArgument& error) {
    return error_answer(400, error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "serve: %.*s: %s\n", static_cast<int>(request.path.size()),
                 request.path.data(), error.what());
    return error_answer(500, "an error of the service; its log says more");
  }
}

void Routes::answered(std::string_view path, unsigned status, double seconds) {
  metrics_.answered(path, status, seconds);
}

Answer Routes::on_event(const Request& request) {
  const auto reading = scoring_.read();
  const auto events = read_events(request.body, reading.schema());
  Answer answer;
  answer.body = answers(events, [&](std::string& out, const EventMessage& event) {
    const Scored scored = scoring_.on_event(reading, event);
    events_.fetch_add(1, kRelaxed);
    out += '{';
    append_scored(out, scored);
    out += ",\"event_id\":";
    append_text(out, event.event_id);
    out += '}';
  });
  return answer;
}

Answer Routes::on_label(const Request& request) {
  const auto reading = scoring_.read();
  const auto labels = read_labels(request.body, reading.schema());
  Answer answer;
  answer.body = answers(labels, [&](std::string& out, const LabelMessage& label) {
    if (scoring_.on_label(reading, label)) {
      labels_.fetch_add(1, kRelaxed);
      out += "{\"event_id\":";
      append_text(out, label.event_id);
      out += '}';
      return;
    }
    unknown_labels_.fetch_add(1, kRelaxed);
    if (!labels.is_list) answer.status = 404;
    append_error(out, "event_id: no such event waits for its label: " + label.event_id);
  });
  return answer;
}

Answer Routes::on_score(const Request& request) {
  const auto reading = scoring_.read();
  Answer answer;
  answer.body = "{";
  append_scored(answer.body, scoring_.score(reading, read_score(request.body, reading.schema())));
  answer.body += "}\n";
  return answer;
}

Answer Routes::on_explain(const Request& request) {
  const auto reading = scoring_.read();
  Answer answer;
  answer.body =
      explanation_text(scoring_.explain(reading, read_explain(request.body, reading.schema())));
  answer.body += '\n';
  return answer;
}

Answer Routes::on_health(const Request&) {
  const Status status = scoring_.status();
  Answer answer;
  answer.body = "{\"status\":\"ok\",\"model\":";
  append_text(answer.body, status.model_id);
  answer.body += ",\"version\":";
  append_text(answer.body, ECSEQ_VERSION);
  answer.body += ",\"users\":" + std::to_string(status.users) + ",\"staleness\":";
  if (status.staleness) {
    append_number(answer.body, *status.staleness);
  } else {
    answer.body += "null";
  }
  answer.body += "}\n";
  return answer;
}

Answer Routes::on_metrics(const Request&) {
  const Status status = scoring_.status();
  Answer answer;
  answer.type = "text/plain; version=0.0.4";
  answer.body = metrics_.text();
  const auto append = [&](std::string_view name, std::string_view type, auto value) {
    append_metric(answer.body, name, type, static_cast<double>(value));
  };
  append("ecseq_events_total", "counter", events_.load(kRelaxed));
  append("ecseq_labels_total", "counter", labels_.load(kRelaxed));
  append("ecseq_unknown_labels_total", "counter", unknown_labels_.load(kRelaxed));
  append("ecseq_users", "gauge", status.users);
  append("ecseq_users_evicted_total", "counter", status.evicted);
  append("ecseq_users_restarted_total", "counter", status.restarted);
  if (status.staleness) append("ecseq_staleness_seconds", "gauge", *status.staleness);
  append_type(answer.body, "ecseq_entities", "gauge");
  for (const auto& [name, size] : status.entities) {
    append_sample(answer.body, "ecseq_entities", label("by", name), static_cast<double>(size));
  }
  append_type(answer.body, "ecseq_model_info", "gauge");
  append_sample(answer.body, "ecseq_model_info", label("id", status.model_id), 1.0);
  append("ecseq_events_waiting", "gauge", status.waiting_events);
  append("ecseq_events_forgotten_total", "counter", status.forgotten_events);
  append("ecseq_reloads_total", "counter", status.reloads);
  append("ecseq_failed_reloads_total", "counter", status.failed_reloads);
  return answer;
}

}  // namespace service
