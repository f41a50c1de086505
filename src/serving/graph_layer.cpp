#include "graph_layer.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/gnn/gat_layer.hpp"
#include "fixed_sources.hpp"

namespace ecseq::serving {
namespace {

using relation::Neighbours;

Matrix<float> parameter(const nn::Parameters<float>& parameters, const std::string& name) {
  return parameters.view(parameters.find(name)).eigen();
}

kernels::PackedMatrix packed(const Matrix<float>& weight, const Matrix<float>* bias) {
  const RowVector<float> zeros = RowVector<float>::Zero(weight.cols());
  return {weight, bias != nullptr ? bias->data() : zeros.data()};
}

/// x W + b in memory of its own, padded to whole vectors.
float* projected(const kernels::PackedMatrix& w, const float* x, Arena& memory) {
  float* const y = memory.take<float>(w.padded());
  kernels::project_row(w, x, y);
  return y;
}

float dot(const float* a, const float* b, Index n) {
  float sum = 0.0F;
  for (Index j = 0; j < n; ++j) sum += a[j] * b[j];
  return sum;
}

/// x = softmax of its rows.  x: [n, heads], a softmax over n for each head
void softmax_by_head(float* x, Index n, Index heads) {
  for (Index h = 0; h < heads; ++h) {
    float largest = x[h];
    for (Index e = 1; e < n; ++e) largest = std::max(largest, x[e * heads + h]);
    float total = 0.0F;
    for (Index e = 0; e < n; ++e) {
      float& value = x[e * heads + h];
      total += value = std::exp(value - largest);
    }
    for (Index e = 0; e < n; ++e) x[e * heads + h] /= total;
  }
}

/// z_h += alpha_h x_h for each head.  x, z: [heads d]
void add_by_head(const float* alpha, const float* x, Index heads, Index d, float* z) {
  for (Index h = 0; h < heads; ++h) {
    for (Index j = 0; j < d; ++j) z[h * d + j] += alpha[h] * x[h * d + j];
  }
}

/// z = W_self x + sum over e of w_e W_sources x_e + b (gnn::SageLayer).
class SageMean final : public GraphLayer {
 public:
  SageMean(const nn::Parameters<float>& parameters, const std::string& name,
           MatrixView<float> sources)
      : sources_(sources, parameter(parameters, name + ".source.weight")) {
    const Matrix<float> bias = parameter(parameters, name + ".bias");
    self_ = packed(parameter(parameters, name + ".self.weight"), &bias);
  }
  void apply(const float* own, const Neighbours& heard, float* z, Arena& memory) const override {
    float* const sum = projected(self_, own, memory);
    sources_.add(heard, sum);
    std::copy_n(sum, self_.out(), z);
  }

 private:
  FixedSources sources_;
  kernels::PackedMatrix self_;
};

/// z = W_self x + W_sources max over e of x_e + b (gnn::SageLayer).
class SageMax final : public GraphLayer {
 public:
  SageMax(const nn::Parameters<float>& parameters, const std::string& name,
          MatrixView<float> sources)
      : sources_(sources.eigen()) {
    const Matrix<float> bias = parameter(parameters, name + ".bias");
    self_ = packed(parameter(parameters, name + ".self.weight"), &bias);
    source_ = packed(parameter(parameters, name + ".source.weight"), nullptr);
  }
  void apply(const float* own, const Neighbours& heard, float* z, Arena& memory) const override {
    const float* const sum = projected(self_, own, memory);
    std::copy_n(sum, self_.out(), z);
    if (heard.size == 0) return;
    float* const largest = memory.take<float>(sources_.cols());
    std::copy_n(sources_.row(heard.representative[0]).data(), sources_.cols(), largest);
    for (Index e = 1; e < heard.size; ++e) {
      const float* const x = sources_.row(heard.representative[e]).data();
      for (Index f = 0; f < sources_.cols(); ++f) largest[f] = std::max(largest[f], x[f]);
    }
    const float* const of_sources = projected(source_, largest, memory);
    for (Index j = 0; j < source_.out(); ++j) z[j] += of_sources[j];
  }

 private:
  Matrix<float> sources_;
  kernels::PackedMatrix self_, source_;
};

/// z = W x / deg + sum over e of w_e W x_e / sqrt(deg) + b, deg = 1 + sum of w (gnn::GcnLayer).
class Gcn final : public GraphLayer {
 public:
  Gcn(const Affine& weights, MatrixView<float> sources)
      : sources_(sources, weights.weight),
        own_(packed(weights.weight, nullptr)),
        bias_(weights.bias) {}
  void apply(const float* own, const Neighbours& heard, float* z, Arena& memory) const override {
    float degree = 1.0F;
    for (Index e = 0; e < heard.size; ++e) degree += heard.weight[e];
    const float root = std::sqrt(degree);
    float* const sum = projected(own_, own, memory);
    for (Index j = 0; j < own_.padded(); ++j) sum[j] /= degree;
    float* const weights = memory.take<float>(heard.size);
    for (Index e = 0; e < heard.size; ++e) weights[e] = heard.weight[e] / root;
    sources_.add({heard.representative, weights, heard.size}, sum);
    for (Index j = 0; j < own_.out(); ++j) z[j] = sum[j] + bias_[j];
  }

 private:
  FixedSources sources_;
  kernels::PackedMatrix own_;
  RowVector<float> bias_;
};

/// z = sum over the target and e of alpha W x + b (gnn::GatLayer); what a source sends and its part
/// of the attention's logit are kept.
class Gat final : public GraphLayer {
 public:
  Gat(const nn::Parameters<float>& parameters, const std::string& name, MatrixView<float> sources)
      : sources_(sources, parameter(parameters, name + ".weight")),
        own_(packed(parameter(parameters, name + ".weight"), nullptr)),
        source_(parameter(parameters, name + ".source")),
        target_(parameter(parameters, name + ".target")),
        bias_(parameter(parameters, name + ".bias")),
        scores_(sources_.size(), source_.rows()) {
    for (Index j = 0; j < sources_.size(); ++j) score(sources_.sent(j), source_, &scores_(j, 0));
  }
  void apply(const float* own, const Neighbours& heard, float* z, Arena& memory) const override {
    const Index heads = source_.rows(), d = source_.cols(), n = heard.size + 1;
    const float* const mine = projected(own_, own, memory);
    float* const asked = memory.take<float>(heads);
    float* const alpha = memory.take<float>(n * heads);  // the target's own loop first
    score(mine, target_, asked);
    score(mine, source_, alpha);
    for (Index e = 1; e < n; ++e) {
      std::copy_n(scores_.row(heard.representative[e - 1]).data(), heads, alpha + e * heads);
    }
    for (Index e = 0; e < n; ++e) {
      for (Index h = 0; h < heads; ++h) {
        float& logit = alpha[e * heads + h];
        logit += asked[h];
        if (logit < 0.0F) logit *= static_cast<float>(gnn::GatLayer<float>::kSlope);
      }
    }
    softmax_by_head(alpha, n, heads);
    std::copy_n(bias_.data(), heads * d, z);
    add_by_head(alpha, mine, heads, d, z);
    for (Index e = 1; e < n; ++e) {
      add_by_head(alpha + e * heads, sources_.sent(heard.representative[e - 1]), heads, d, z);
    }
  }

 private:
  static void score(const float* x, const Matrix<float>& a, float* out) {
    for (Index h = 0; h < a.rows(); ++h) {
      out[h] = dot(x + h * a.cols(), a.row(h).data(), a.cols());
    }
  }

  FixedSources sources_;
  kernels::PackedMatrix own_;
  Matrix<float> source_, target_;  ///< [heads, d]
  Matrix<float> bias_;
  Matrix<float> scores_;  ///< [K, heads]
};

/// z = W_self x + sum over e of alpha_e V x_e + b (gnn::AttentionLayer); keys and values are kept.
class Attention final : public GraphLayer {
 public:
  Attention(const nn::Parameters<float>& parameters, const std::string& name,
            MatrixView<float> sources)
      : query_(packed(parameter(parameters, name + ".query.weight"), nullptr)),
        keys_(sources, parameter(parameters, name + ".key.weight")),
        values_(sources, parameter(parameters, name + ".value.weight")),
        similarity_(parameter(parameters, name + ".similarity")) {
    const Matrix<float> bias = parameter(parameters, name + ".bias");
    self_ = packed(parameter(parameters, name + ".self.weight"), &bias);
  }
  void apply(const float* own, const Neighbours& heard, float* z, Arena& memory) const override {
    std::copy_n(projected(self_, own, memory), self_.out(), z);
    if (heard.size == 0) return;
    const Index heads = similarity_.cols(), d = query_.out() / heads;
    const float scale = 1.0F / std::sqrt(static_cast<float>(d));
    const float* const query = projected(query_, own, memory);
    float* const alpha = memory.take<float>(heard.size * heads);
    for (Index e = 0; e < heard.size; ++e) {
      const float* const key = keys_.sent(heard.representative[e]);
      const float log_weight = std::log(heard.weight[e]);
      for (Index h = 0; h < heads; ++h) {
        alpha[e * heads + h] =
            dot(query + h * d, key + h * d, d) * scale + log_weight * similarity_(0, h);
      }
    }
    softmax_by_head(alpha, heard.size, heads);
    for (Index e = 0; e < heard.size; ++e) {
      add_by_head(alpha + e * heads, values_.sent(heard.representative[e]), heads, d, z);
    }
  }

 private:
  kernels::PackedMatrix self_, query_;
  FixedSources keys_, values_;
  Matrix<float> similarity_;  ///< [1, heads]
};

}  // namespace

std::unique_ptr<GraphLayer> make_graph_layer(const std::string& kind,
                                             const nn::Parameters<float>& parameters,
                                             const std::string& name, MatrixView<float> sources) {
  if (kind == "sage_max") return std::make_unique<SageMax>(parameters, name, sources);
  if (kind == "gcn") {
    return make_gcn_layer(
        {parameter(parameters, name + ".weight"), parameter(parameters, name + ".bias")}, sources);
  }
  if (kind == "gat") return std::make_unique<Gat>(parameters, name, sources);
  if (kind == "attention") return std::make_unique<Attention>(parameters, name, sources);
  return std::make_unique<SageMean>(parameters, name, sources);
}

std::unique_ptr<GraphLayer> make_gcn_layer(const Affine& weights, MatrixView<float> sources) {
  return std::make_unique<Gcn>(weights, sources);
}

}  // namespace ecseq::serving
