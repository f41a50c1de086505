// An HTTP service over one model file; docs/serving-http.md says what it answers.
//
//   ecseq_serve --model model.ecseq [--state folder] [--port 8080] [--threads 2]
//
// SIGHUP loads the model file again, SIGTERM and SIGINT end it.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "http_server.hpp"
#include "routes.hpp"
#include "scoring.hpp"

namespace {

using namespace service;

struct Options {
  HttpOptions http;
  ScoringOptions scoring;
  double snapshot_seconds = 0;
};

/// Signals, to be waited for. They come through a pipe: the libraries' threads that are there
/// before `main` (OpenBLAS has some) cannot be kept from receiving them.
class Signals {
 public:
  Signals() {
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe for signals");
    struct sigaction action {};
    action.sa_handler = [](int signal) {
      const int error = errno;
      const auto byte = static_cast<unsigned char>(signal);
      [[maybe_unused]] const ssize_t written = write(ends[1], &byte, 1);
      errno = error;
    };
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaction(signal, &action, nullptr);
  }

  /// 0: so many seconds went by without one (never where they are 0).
  int next(double seconds) const {
    pollfd readable{ends[0], POLLIN, 0};
    const int most = seconds > 0 ? static_cast<int>(std::min(seconds * 1e3, 2e9)) : -1;
    if (poll(&readable, 1, most) == 0) return 0;
    unsigned char signal = 0;
    return read(ends[0], &signal, 1) == 1 ? signal : kNone;
  }
  /// Woken for nothing: wait again.
  static constexpr int kNone = -1;

 private:
  static inline int ends[2] = {-1, -1};
};

/// A connection is a file descriptor, and the usual limit is 1024.
void allow_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void save(const Scoring& scoring) {
  try {
    scoring.save();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "serve: no snapshot: %s\n", error.what());
  }
}

int run(const Options& options) {
  const Signals signals;
  allow_descriptors();
  Scoring scoring(options.scoring);
  Routes routes(scoring);
  HttpServer server(options.http, routes);
  std::fprintf(stderr, "serve: listening on %s:%d\n", options.http.address.c_str(), server.port());
  for (;;) {
    const int signal = signals.next(options.snapshot_seconds);
    if (signal == SIGHUP) {
      const std::string reason = scoring.reload();
      std::fprintf(stderr, "serve: %s%s\n",
                   reason.empty() ? "the model was loaded again" : "the model in service stays: ",
                   reason.c_str());
    } else if (signal == SIGTERM || signal == SIGINT) {
      break;
    } else if (signal == 0) {
      save(scoring);
    }
  }
  std::fprintf(stderr, "serve: stopping\n");
  server.stop();
  scoring.save();
  return 0;
}

void declare(CLI::App& app, Options& options) {
  using std::chrono::milliseconds;
  app.option_defaults()->always_capture_default();
  auto& scoring = options.scoring;
  app.add_option("--model", scoring.model, "model file")->required()->check(CLI::ExistingFile);
  app.add_option("--state", scoring.state, "folder of the snapshots; without it none are kept")
      ->check(CLI::ExistingDirectory);
  app.add_option("--snapshot-seconds", options.snapshot_seconds,
                 "write one so often; 0: only at the end");
  app.add_option("--features", scoring.features,
                 "names of the features, where the model file does not say them");
  app.add_option("--window", scoring.live.scorer.window,
                 "score a user by this many last events; 0: as the encoder can");
  app.add_option("--max-users", scoring.live.max_users, "kept; 0: no bound");
  app.add_option("--reserve-users", scoring.live.reserve_users,
                 "whose memory is taken at once, so that no first event waits for it");
  app.add_flag("--labels-on-arrival", scoring.live.entities.labels_on_arrival,
               "a label counts at once, not only when its delay has passed");
  auto& http = options.http;
  app.add_option("--address", http.address, "to listen on");
  app.add_option("--port", http.port, "0: any free one");
  app.add_option("--threads", http.threads)->check(CLI::Range(1, 256));
  app.add_option("--slow-threads", http.slow_threads, "for explanations and long bodies")
      ->check(CLI::Range(1, 256));
  app.add_option("--max-connections", http.max_connections, "the excess gets 503");
  app.add_option("--max-in-flight", http.max_in_flight, "requests at once; the excess gets 503");
  app.add_option("--max-slow", http.max_slow, "slow requests at once; the excess gets 503");
  app.add_option("--body-bytes", http.body_bytes, "longer bodies get 413")
      ->check(CLI::Range(std::size_t{1}, JsonLimits{}.bytes));
  app.add_option_function<int>(
      "--idle-ms", [&](int ms) { http.idle = milliseconds(ms); },
      "a connection between two requests (60000)");
  app.add_option_function<int>(
      "--transfer-ms", [&](int ms) { http.transfer = milliseconds(ms); },
      "a request from its first byte to its last (5000); later ones get 408");
  app.add_option_function<int>(
      "--drain-ms", [&](int ms) { http.drain = milliseconds(ms); },
      "at the end, for open connections to bring a last request (500)");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Scores events over HTTP by an ecseq model.");
  declare(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "serve: %s\n", error.what());
    return 1;
  }
}
