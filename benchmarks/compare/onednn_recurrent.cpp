// Our LSTM and GRU kernels, oneDNN's and a large sgemm, turn by turn in one process.
//
//   onednn_recurrent [--threads 1|2] [--quick] [--json]
//
// oneDNN gets the memory format it asks for, its weights reordered once, and only the last state
// of a sequence is compared, as both compute it. Ours cuts a batch into as many parts as there are
// threads. With --json, one object per line with a time per round.

#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "ecseq/kernels/gru.hpp"
#include "ecseq/kernels/lstm.hpp"

namespace {

using namespace ecseq;
using Memory = dnnl::memory;
using Tag = Memory::format_tag;
using Clock = std::chrono::steady_clock;

constexpr double kTolerance = 1e-4;
constexpr Index kSgemm = 1024;

struct Problem {
  Index batch, length, features, hidden;
};

/// Weights and events of a problem, as PyTorch lays them out transposed: [inputs, gates hidden].
struct Data {
  Data(const Problem& p, int gates, bool is_gru) {
    Rng rng(1);
    const double bound = 1.0 / std::sqrt(static_cast<double>(p.hidden));
    fill(events, p.batch * p.length, p.features, 1.0, rng);
    fill(weight_input, p.features, gates * p.hidden, bound, rng);
    fill(weight_hidden, p.hidden, gates * p.hidden, bound, rng);
    fill(bias, 1, 4 * p.hidden, bound, rng);
    by_time.resize(p.batch * p.length, p.features);
    for (Index n = 0; n < p.batch; ++n) {
      for (Index t = 0; t < p.length; ++t) {
        by_time.row(t * p.batch + n) = events.row(n * p.length + t);
      }
    }
    if (is_gru) for_onednn();
  }
  static void fill(Matrix<float>& x, Index rows, Index cols, double bound, Rng& rng) {
    x.resize(rows, cols);
    for (Index i = 0; i < x.size(); ++i) {
      x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
    }
  }
  /// oneDNN's GRU has the gates in the order update, reset, new.
  void for_onednn() {
    const Index hidden = weight_hidden.rows();
    onednn_input = weight_input;
    onednn_hidden = weight_hidden;
    onednn_bias = bias;
    for (Matrix<float>* m : {&onednn_input, &onednn_hidden, &onednn_bias}) {
      const Matrix<float> reset = m->leftCols(hidden);
      m->leftCols(hidden) = m->middleCols(hidden, hidden).eval();
      m->middleCols(hidden, hidden) = reset;
    }
  }

  Matrix<float> events;   ///< [batch length, features]
  Matrix<float> by_time;  ///< [length batch, features]
  Matrix<float> weight_input, weight_hidden, bias;
  Matrix<float> onednn_input, onednn_hidden, onednn_bias;  ///< GRU only
};

/// The last states by our kernel, packed once.
template <class Cell>
class Ours {
 public:
  Ours(const Problem& p, const Data& data, int threads)
      : problem_(p),
        part_((p.batch + threads - 1) / threads),
        threads_(threads),
        packed_(kernels::packed_recurrent_size<float, Cell::kGates>(p.features, p.hidden)),
        weights_(kernels::pack_recurrent<float, Cell::kGates>(data.weight_input, data.weight_hidden,
                                                              data.bias.data(), packed_.data())),
        scratch_size_(kernels::recurrent_scratch_size<Cell, float>(weights_)),
        scratch_(scratch_size_ * threads),
        out(p.batch, p.hidden) {
    for (Index n = 0; n < p.batch; ++n) {
      runs_.push_back({data.events.row(n * p.length).data(), p.length, n});
    }
  }
  void operator()() {
    parallel_chunks(problem_.batch, part_, threads_, [&](Index begin, Index end) {
      const kernels::FlushDenormals flush;
      kernels::recurrent_last_state<Cell>(
          weights_, kernels::Standardisation{}, runs_.data() + begin, end - begin, out.data(),
          problem_.hidden, scratch_.data() + begin / part_ * scratch_size_);
    });
  }

 private:
  Problem problem_;
  Index part_;
  int threads_;
  Eigen::ArrayXf packed_;
  typename Cell::template Weights<float> weights_;
  Index scratch_size_;
  Eigen::ArrayXf scratch_;
  std::vector<kernels::EventRun> runs_;

 public:
  Matrix<float> out;  ///< [batch, hidden]
};

/// The same by an oneDNN primitive.
class OneDnn {
 public:
  OneDnn(const Problem& p, Data& data, bool is_gru)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_), out(p.batch, p.hidden) {
    const Index gates = is_gru ? 3 : 4;
    const auto any = [](const Memory::dims& dims) {
      return Memory::desc(dims, Memory::data_type::f32, Tag::any);
    };
    const Memory::dims input{1, 1, p.features, gates, p.hidden};
    const Memory::dims hidden{1, 1, p.hidden, gates, p.hidden};
    const Memory::dims bias{1, 1, is_gru ? 4 : gates, p.hidden};
    const Memory::dims state{1, 1, p.batch, p.hidden};
    const auto source = any({p.length, p.batch, p.features});
    const auto states = any({p.length, p.batch, p.hidden});
    const Memory::desc plain_state(state, Memory::data_type::f32, Tag::ldnc);
    const Memory::desc plain_bias(bias, Memory::data_type::f32, Tag::ldgo);
    dnnl::primitive_attr attributes;
    const auto forward = dnnl::prop_kind::forward_inference;
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;
    // Without initial states both start from zero.
    if (is_gru) {
      const dnnl::lbr_gru_forward::desc desc(forward, direction, source, Memory::desc(), any(input),
                                             any(hidden), plain_bias, states, plain_state);
      const dnnl::lbr_gru_forward::primitive_desc chosen(desc, attributes, engine_);
      primitive_ = dnnl::lbr_gru_forward(chosen);
      prepare(chosen, p, data.onednn_input, data.onednn_hidden, data.onednn_bias, input, hidden,
              plain_bias, data.by_time);
    } else {
      const dnnl::lstm_forward::desc desc(forward, direction, source, Memory::desc(),
                                          Memory::desc(), any(input), any(hidden), plain_bias,
                                          states, plain_state, plain_state);
      const dnnl::lstm_forward::primitive_desc chosen(desc, attributes, engine_);
      primitive_ = dnnl::lstm_forward(chosen);
      prepare(chosen, p, data.weight_input, data.weight_hidden, data.bias, input, hidden,
              plain_bias, data.by_time);
      arguments_[DNNL_ARG_DST_ITER_C] = Memory(chosen.dst_iter_c_desc(), engine_);
    }
  }
  void operator()() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  template <class Chosen>
  void prepare(const Chosen& chosen, const Problem& p, Matrix<float>& weight_input,
               Matrix<float>& weight_hidden, Matrix<float>& bias, const Memory::dims& input,
               const Memory::dims& hidden, const Memory::desc& plain_bias, Matrix<float>& by_time) {
    arguments_[DNNL_ARG_WEIGHTS_LAYER] =
        reordered(chosen.weights_layer_desc(), input, Tag::ldigo, weight_input);
    arguments_[DNNL_ARG_WEIGHTS_ITER] =
        reordered(chosen.weights_iter_desc(), hidden, Tag::ldigo, weight_hidden);
    arguments_[DNNL_ARG_BIAS] = Memory(plain_bias, engine_, bias.data());
    arguments_[DNNL_ARG_SRC_LAYER] =
        reordered(chosen.src_layer_desc(), {p.length, p.batch, p.features}, Tag::tnc, by_time);
    arguments_[DNNL_ARG_DST_LAYER] = Memory(chosen.dst_layer_desc(), engine_);
    arguments_[DNNL_ARG_DST_ITER] = Memory(chosen.dst_iter_desc(), engine_, out.data());
  }
  Memory reordered(const Memory::desc& wanted, const Memory::dims& dims, Tag tag,
                   Matrix<float>& x) {
    Memory from({dims, Memory::data_type::f32, tag}, engine_, x.data());
    Memory to(wanted, engine_);
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    return to;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, Memory> arguments_;

 public:
  Matrix<float> out;  ///< [batch, hidden]
};

struct Effort {
  int rounds;
  double slice_seconds;
};

/// Seconds per call, [functions][rounds].
std::vector<std::vector<double>> interleaved(const std::vector<std::function<void()>>& functions,
                                             const Effort& effort) {
  const auto seconds_of = [](const std::function<void()>& f, int calls) {
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) f();
    return std::chrono::duration<double>(Clock::now() - begin).count() / calls;
  };
  std::vector<int> calls;
  for (const auto& f : functions) {
    f();
    calls.push_back(std::max(1, static_cast<int>(effort.slice_seconds / seconds_of(f, 3))));
  }
  std::vector<std::vector<double>> out(functions.size());
  for (int round = 0; round < effort.rounds; ++round) {
    for (std::size_t i = 0; i < functions.size(); ++i) {
      out[i].push_back(seconds_of(functions[i], calls[i]));
    }
  }
  return out;
}

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + x.size() / 2, x.end());
  return x[x.size() / 2];
}

struct Sgemm {
  Matrix<float> a = Matrix<float>::Random(kSgemm, kSgemm), b = a, c = a;
  int threads;
  explicit Sgemm(int n) : threads(n) {}
  void operator()() {
    parallel_chunks(kSgemm, kSgemm / threads, threads, [&](Index begin, Index end) {
      c.middleRows(begin, end - begin).noalias() = a.middleRows(begin, end - begin) * b;
    });
  }
};

template <class Cell>
void compare(const char* name, const Problem& p, const Effort& effort, int threads, bool json) {
  constexpr bool kIsGru = Cell::kGates == 3;
  Data data(p, Cell::kGates, kIsGru);
  Ours<Cell> ours(p, data, threads);
  OneDnn onednn(p, data, kIsGru);
  Sgemm sgemm(threads);
  ours();
  onednn();
  const double difference = static_cast<double>((ours.out - onednn.out).cwiseAbs().maxCoeff());
  if (!(difference <= kTolerance)) {
    std::fprintf(stderr, "%s: results differ by %g, more than %g\n", name, difference, kTolerance);
    std::exit(1);
  }
  const auto seconds = interleaved({std::ref(ours), std::ref(onednn), std::ref(sgemm)}, effort);
  const double flops = 2.0 * static_cast<double>(p.batch * p.length * Cell::kGates * p.hidden *
                                                 (p.features + p.hidden));
  const auto b = static_cast<long>(p.batch), t = static_cast<long>(p.length),
             d = static_cast<long>(p.features), h = static_cast<long>(p.hidden);
  if (json) {
    std::printf("{\"problem\": [\"%s\", %ld, %ld, %ld, %ld], \"flops\": %.0f", name, b, t, d, h,
                flops);
    const char* const names[] = {"ours", "onednn", "sgemm"};
    for (std::size_t i = 0; i < 3; ++i) {
      std::printf(", \"%s\": [", names[i]);
      for (std::size_t r = 0; r < seconds[i].size(); ++r) {
        std::printf("%s%.9f", r == 0 ? "" : ", ", seconds[i][r]);
      }
      std::printf("]");
    }
    std::printf("}\n");
  } else {
    const double limit = 2.0 * std::pow(kSgemm, 3) / median(seconds[2]);
    std::printf(
        "%-4s B %4ld, T %3ld, D %2ld, H %3ld: ours %9.1f us, oneDNN %9.1f us, ratio %5.2f, "
        "%3.0f %% of sgemm (%.0f GFLOP/s)\n",
        name, b, t, d, h, 1e6 * median(seconds[0]), 1e6 * median(seconds[1]),
        median(seconds[1]) / median(seconds[0]), 100 * flops / median(seconds[0]) / limit,
        1e-9 * limit);
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 1;
  bool quick = false, json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") {
      quick = true;
    } else if (option == "--json") {
      json = true;
    } else if (option == "--threads" && i + 1 < argc) {
      threads = std::clamp(std::atoi(argv[++i]), 1, 64);
    } else {
      std::fprintf(stderr, "usage: %s [--threads N] [--quick] [--json]\n", argv[0]);
      return 2;
    }
  }
  omp_set_num_threads(threads);  // oneDNN's
  const Effort effort = quick ? Effort{5, 0.02} : Effort{9, 0.2};
  for (const Index batch : {1, 64, 1000}) {
    if (quick && batch == 1000) continue;
    for (const auto& [length, features, hidden] :
         {std::array<Index, 3>{50, 32, 32}, {50, 64, 64}, {100, 64, 128}}) {
      const Problem p{batch, length, features, hidden};
      compare<kernels::LstmCell>("lstm", p, effort, threads, json);
      compare<kernels::GruCell>("gru", p, effort, threads, json);
    }
  }
}
