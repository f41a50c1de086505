#pragma once

#include <atomic>

#include "exchange.hpp"
#include "metrics.hpp"
#include "scoring.hpp"

namespace service {

/// The service's paths: what each is asked and answers.
class Routes : public Handler {
 public:
  explicit Routes(Scoring& scoring) : scoring_(scoring) {}

  bool is_slow(const Request& request) const override;
  Answer answer(const Request& request) override;
  void answered(std::string_view path, unsigned status, double seconds) override;

 private:
  Answer on_event(const Request& request);
  Answer on_label(const Request& request);
  Answer on_score(const Request& request);
  Answer on_explain(const Request& request);
  Answer on_health(const Request& request);
  Answer on_metrics(const Request& request);

  struct Route {
    std::string_view method;
    std::string_view path;
    Answer (Routes::*answer)(const Request&);
  };
  static const Route* find(std::string_view path);

  Scoring& scoring_;
  Metrics metrics_;
  std::atomic<std::uint64_t> events_{0};
  std::atomic<std::uint64_t> labels_{0};
  std::atomic<std::uint64_t> unknown_labels_{0};
};

}  // namespace service
