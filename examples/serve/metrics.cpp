#include "metrics.hpp"

#include <algorithm>

#include "json_text.hpp"

namespace service {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string path_label(const char* path) { return "path=\"" + std::string(path) + "\""; }

std::string number_text(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

}  // namespace

void append_type(std::string& out, std::string_view name, std::string_view type) {
  out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void append_sample(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_metric(std::string& out, std::string_view name, std::string_view type, double value) {
  append_type(out, name, type);
  append_sample(out, name, {}, value);
}

void Metrics::answered(std::string_view path, unsigned status, double seconds) {
  const auto last = kPaths.end() - 1;
  Path& counts =
      paths_[static_cast<std::size_t>(std::find(kPaths.begin(), last, path) - kPaths.begin())];
  // A code that is not among these would be a fault of ours.
  const auto found = std::find(kCodes.begin(), kCodes.end(), status);
  const auto code = found == kCodes.end() ? kCodes.size() - 2 : found - kCodes.begin();
  counts.by_code[static_cast<std::size_t>(code)].fetch_add(1, kRelaxed);
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  counts.by_latency[static_cast<std::size_t>(bucket)].fetch_add(1, kRelaxed);
  counts.nanoseconds.fetch_add(static_cast<std::uint64_t>(seconds * 1e9), kRelaxed);
}

std::string Metrics::text() const {
  std::string out;
  append_type(out, "ecseq_requests_total", "counter");
  for (std::size_t p = 0; p < kPaths.size(); ++p) {
    for (std::size_t c = 0; c < kCodes.size(); ++c) {
      const auto count = paths_[p].by_code[c].load(kRelaxed);
      if (count == 0) continue;
      append_sample(out, "ecseq_requests_total",
                    path_label(kPaths[p]) + ",code=\"" + std::to_string(kCodes[c]) + "\"",
                    static_cast<double>(count));
    }
  }
  append_type(out, "ecseq_request_seconds", "histogram");
  for (std::size_t p = 0; p < kPaths.size(); ++p) {
    const std::string path = path_label(kPaths[p]);
    std::uint64_t below = 0;
    for (std::size_t b = 0; b <= kBounds.size(); ++b) {
      below += paths_[p].by_latency[b].load(kRelaxed);
      const std::string bound = b < kBounds.size() ? number_text(kBounds[b]) : "+Inf";
      append_sample(out, "ecseq_request_seconds_bucket", path + ",le=\"" + bound + "\"",
                    static_cast<double>(below));
    }
    append_sample(out, "ecseq_request_seconds_sum", path,
                  static_cast<double>(paths_[p].nanoseconds.load(kRelaxed)) * 1e-9);
    append_sample(out, "ecseq_request_seconds_count", path, static_cast<double>(below));
  }
  return out;
}

}  // namespace service
