#include "ecseq/pipeline/forecaster.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "ecseq/core/rng.hpp"
#include "ecseq/io/safetensors.hpp"
#include "edit_tensor.hpp"
#include "expect_refused.hpp"
#include "golden_file.hpp"

namespace ecseq::pipeline {
namespace {

using testing::expect_refused;

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

/// Groups of three series that share a shock g(t) of variance 1 at each step. The first is g(t),
/// the others are g(t) / 2 + g(t - 1), whose own past cannot tell them g(t - 1): from that alone
/// they are forecast with an error of variance 1, with the first one's last value of 1 / 4.
struct Problem {
  Matrix<float> values;     ///< [steps, series * channels]
  Matrix<float> exogenous;  ///< [steps + 8, 2]
  Index channels = 1;

  SeriesData data(Index steps = -1, Index exogenous_rows = -1) const {
    SeriesData out;
    out.values = {values.data(), steps < 0 ? values.rows() : steps, values.cols()};
    out.channels = channels;
    if (exogenous_rows != 0) {
      out.exogenous = {exogenous.data(), exogenous_rows < 0 ? out.values.rows : exogenous_rows,
                       exogenous.cols()};
    }
    return out;
  }
};

Problem make_problem(Index steps, Index groups, std::uint64_t seed, Index channels = 1) {
  Rng rng(seed);
  Problem out;
  out.channels = channels;
  const Index n = 3 * groups;
  out.values.resize(steps, n * channels);
  out.exogenous.resize(steps + 8, 2);
  for (Index t = 0; t < steps + 8; ++t) {
    out.exogenous(t, 0) = static_cast<float>(std::sin(static_cast<double>(t) / 4.0));
    out.exogenous(t, 1) = static_cast<float>(std::cos(static_cast<double>(t) / 4.0));
  }
  std::vector<double> before(static_cast<std::size_t>(groups * channels)), now(before);
  for (Index t = 0; t < steps; ++t) {
    before = now;
    for (double& shock : now) shock = rng.normal();
    for (Index s = 0; s < n; ++s) {
      for (Index c = 0; c < channels; ++c) {
        const auto g = static_cast<std::size_t>(s / 3 * channels + c);
        const double shock = s % 3 == 0 ? now[g] : 0.5 * now[g] + before[g];
        const double scale = 1.0 + static_cast<double>(s);
        out.values(t, s * channels + c) =
            static_cast<float>(scale * (10.0 + out.exogenous(t, 0) + shock + 0.05 * rng.normal()));
      }
    }
  }
  return out;
}

ForecasterOptions small_options() {
  ForecasterOptions options;
  options.window = 6;
  options.hidden_size = 8;
  options.head_size = 16;
  options.series_id_size = 3;
  options.relation->n_representatives = 1000;  // nothing compressed
  for (auto* training : {&options.encoder_training, &options.head_training}) {
    training->max_epochs = 4;
    training->seed = 3;
    training->num_threads = 2;
    training->batch_size = 64;
  }
  return options;
}

Forecaster fit(const Problem& problem, const ForecasterOptions& options) {
  const Index steps = problem.values.rows();
  return Forecaster::fit(problem.data(), steps - steps / 5, options);
}

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * static_cast<std::size_t>(a.size())) == 0;
}

double rmse(const Forecaster& model, const char* who) {
  return nlohmann::json::parse(model.report())["validation"][who]["rmse"].get<double>();
}

TEST(Forecaster, LearnsFromOtherSeriesWhatNeitherBaseNorControlCanKnow) {
  const Problem problem = make_problem(900, 3, 1);
  ForecasterOptions options = small_options();
  options.relation->attach = "correlation";
  options.relation->min_correlation = 0.45;
  options.encoder_training.max_epochs = 20;
  options.head_training.max_epochs = 40;
  options.head_training.patience = 40;
  options.dropout = 0.0;
  const Forecaster model = fit(problem, options);
  EXPECT_LT(rmse(model, "ecseq"), 0.8 * rmse(model, "base"));
  EXPECT_LT(rmse(model, "ecseq"), 0.8 * rmse(model, "mlp"));
}

TEST(Forecaster, BacktestsDoNotSeeTheFuture) {
  Problem problem = make_problem(160, 3, 2);
  for (Index t = 10; t < 160; t += 17) problem.values(t, t % 9) = kMissing;
  ForecasterOptions options = small_options();
  options.horizon = 3;
  options.error_lags = 2;
  options.gate = false;
  const Forecaster model = fit(problem, options);
  const Index moment = 120;
  Problem changed = problem;
  for (Index t = moment; t < 160; ++t) {
    for (Index j = 0; j < 9; ++j) changed.values(t, j) = t % 2 == 0 ? kMissing : 1e6F;
  }
  for (Index t = moment + 3; t < 160; ++t) changed.exogenous.row(t).setConstant(50.0F);
  for (const auto of : {ForecastOf::kEcseq, ForecastOf::kBase, ForecastOf::kControl}) {
    const auto before = model.backtest(problem.data(), {&moment, 1}, of);
    EXPECT_TRUE(same_bits(before, model.backtest(changed.data(), {&moment, 1}, of)));
    // The same from the rows before it alone.
    EXPECT_TRUE(same_bits(before, model.predict(problem.data(moment, moment + 3), of)));
    Problem other = problem;
    other.values(moment - 1, 4) += 5.0F;
    EXPECT_FALSE(same_bits(before, model.backtest(other.data(), {&moment, 1}, of)));
  }
}

TEST(Forecaster, MomentsMayComeInAnyOrderAndOften) {
  const Problem problem = make_problem(120, 3, 4);
  ForecasterOptions options = small_options();
  options.gate = false;
  const Forecaster model = fit(problem, options);
  const std::vector<Index> moments{100, 30, 31, 100, 7, 119};
  const auto all = model.backtest(problem.data(), moments, ForecastOf::kEcseq);
  ASSERT_EQ(all.rows(), 6 * 9);
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const auto one = model.backtest(problem.data(), {&moments[i], 1}, ForecastOf::kEcseq);
    EXPECT_TRUE(same_bits(one, all.middleRows(static_cast<Index>(i) * 9, 9))) << moments[i];
  }
}

TEST(Forecaster, ThreadsDoNotChangeABit) {
  const Problem problem = make_problem(150, 4, 5, 2);
  for (const char* cell : {"lstm", "gru"}) {
    ForecasterOptions options = small_options();
    options.cell = cell;
    options.horizon = 2;
    options.encoder_training.num_threads = options.head_training.num_threads = 1;
    const Forecaster one = fit(problem, options);
    options.encoder_training.num_threads = options.head_training.num_threads = 3;
    const Forecaster three = fit(problem, options);
    const auto a = one.tensors(), b = three.tensors();
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, tensor] : a)
      EXPECT_TRUE(same_bits(tensor.eigen(), b.at(name).eigen())) << name;
    const SeriesData data = problem.data(-1, 152);
    EXPECT_TRUE(same_bits(one.predict(data, ForecastOf::kEcseq, 1),
                          three.predict(data, ForecastOf::kEcseq, 4)));
  }
}

TEST(Forecaster, OneSeriesWithFrozenRepresentativesIsForecastAsAmongAll) {
  Problem problem = make_problem(140, 4, 6, 2);
  problem.values(139, 3) = kMissing;
  problem.values(50, 0) = kMissing;
  ForecasterOptions options = small_options();
  options.horizon = 2;
  options.gate = false;
  options.relation->n_representatives = 5;
  const Forecaster model = fit(problem, options);
  const SeriesData data = problem.data(-1, 142);
  const auto all = model.predict(data, ForecastOf::kEcseq);
  const auto frozen = model.freeze(data);
  EXPECT_EQ(frozen.moment, 140);
  const Index rows = model.required_rows() + 3;
  const Matrix<float> exogenous = problem.exogenous.middleRows(140 - rows, rows + 2);
  for (Index s = 0; s < 12; ++s) {
    const Matrix<float> own = problem.values.block(140 - rows, 2 * s, rows, 2);
    const auto one = model.predict_one(s, {own, 2, exogenous}, frozen);
    EXPECT_TRUE(same_bits(one, all.row(s))) << s;
  }
  // Representatives of another moment say something else.
  const auto earlier = model.freeze(problem.data(100, 102));
  const Matrix<float> own = problem.values.block(140 - rows, 0, rows, 2);
  EXPECT_FALSE(same_bits(model.predict_one(0, {own, 2, exogenous}, earlier), all.row(0)));
}

TEST(Forecaster, MissingTargetsDoNotCountAndScalesComeFromTrainingRows) {
  Problem problem = make_problem(200, 2, 7);
  Problem changed = problem;
  for (Index t = 160; t < 200; ++t) {
    for (Index j = 0; j < 6; ++j) changed.values(t, j) = problem.values(t, j) * 1000.0F;
  }
  const ForecasterOptions options = small_options();
  // Whatever the validation rows hold, training starts from the same scales.
  const auto scale = [&](const Problem& of) {
    const auto file = io::from_bytes(fit(of, options).to_bytes(), "test");
    return Matrix<float>(file.floats.at("scale.std").eigen());
  };
  EXPECT_TRUE(same_bits(scale(problem), scale(changed)));
  // A series of which nothing is known is forecast all the same, and said to be so.
  for (Index t = 0; t < 200; ++t) problem.values(t, 2) = kMissing;
  const Forecaster model = fit(problem, options);
  const auto report = nlohmann::json::parse(model.report());
  EXPECT_EQ(report["series_without_values"], nlohmann::json::array({2}));
  EXPECT_EQ(report["constant_series"], nlohmann::json::array({2}));
  EXPECT_TRUE(report["missing_values"].get<bool>());
  EXPECT_TRUE(model.predict(problem.data(-1, 201), ForecastOf::kEcseq).allFinite());
}

TEST(Forecaster, FileGivesTheSameBits) {
  Problem problem = make_problem(150, 3, 8, 2);
  problem.values(149, 1) = kMissing;
  ForecasterOptions options = small_options();
  options.horizon = 2;
  Forecaster model = fit(problem, options);
  model.set_metadata("mine");
  const std::string bytes = model.to_bytes();
  const Forecaster again = Forecaster::from_bytes(bytes);
  EXPECT_EQ(again.to_bytes(), bytes);
  EXPECT_EQ(again.metadata(), "mine");
  const SeriesData data = problem.data(-1, 152);
  for (const auto of : {ForecastOf::kEcseq, ForecastOf::kBase, ForecastOf::kControl}) {
    EXPECT_TRUE(same_bits(model.predict(data, of), again.predict(data, of)));
  }
}

TEST(Forecaster, DamagedFilesAreRefused) {
  const Problem problem = make_problem(120, 3, 9);
  const std::string bytes = fit(problem, small_options()).to_bytes();
  const io::TensorFile file = io::from_bytes(bytes, "test");
  const auto refused = [&](const auto& damage) {
    io::TensorFile bad = file;
    bad.metadata.erase("checksum");
    damage(bad);
    EXPECT_THROW(Forecaster::from_bytes(io::to_bytes(bad), "test"), FileError);
  };
  for (const auto& [name, tensor] : file.floats) {
    if (name == "verify.exogenous" || tensor.size() == 0) continue;
    refused([&, key = name](auto& f) { f.floats.erase(key); });
    refused([&, key = name](auto& f) { f.floats[key] = Matrix<float>::Zero(1, 0); });
  }
  for (const auto& [name, values] : file.integers) {
    refused([&, key = name](auto& f) { f.integers.erase(key); });
  }
  const auto config = [](const char* name, const nlohmann::json& value) {
    return [=](io::TensorFile& f) {
      auto json = nlohmann::json::parse(f.metadata["config"]);
      json[name] = value;
      f.metadata["config"] = json.dump();
    };
  };
  for (const char* size : {"horizon", "window", "hidden_size", "head_size", "error_lags"}) {
    refused(config(size, 1'000'000'000));
    refused(config(size, -1));
  }
  refused(config("cell", "gru"));
  refused(config("related", "yes"));
  refused([](auto& f) { f.metadata["config"] = "{"; });
  refused([](auto& f) { f.metadata["format"] = "ecseq-model"; });
  refused([](auto& f) { f.metadata["format_version"] = "2"; });
  refused([](auto& f) { f.integers["verify.missing"] = {1'000'000}; });
  refused([](auto& f) {
    testing::edit(f.floats["layer.output.weight"], [](auto& weight) { weight.array() += 0.5F; });
  });
  refused([](auto& f) { testing::set(f.floats["encoder.lstm.bias"], 0, 0, NAN); });
  refused([](auto& f) { testing::set(f.floats["scale.std"], 0, 0, 0.0F); });
  for (std::size_t cut = 0; cut < bytes.size(); cut += bytes.size() / 50) {
    EXPECT_THROW(Forecaster::from_bytes(bytes.substr(0, cut), "test"), FileError);
  }
}

TEST(Forecaster, ExplanationsAddUp) {
  const Problem problem = make_problem(200, 3, 10);
  ForecasterOptions options = small_options();
  options.gate = false;
  options.relation->n_representatives = 4;
  const Forecaster model = fit(problem, options);
  const SeriesData data = problem.data(-1, 201);
  const std::vector<Index> which{0, 7};
  const auto found = model.explain(data, which);
  ASSERT_EQ(found.size(), 2U);
  const auto all = model.predict(data, ForecastOf::kEcseq);
  const auto base = model.predict(data, ForecastOf::kBase);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_FLOAT_EQ(found[i].forecast[0], all(which[i], 0));
    EXPECT_FLOAT_EQ(found[i].base[0], base(which[i], 0));
    EXPECT_EQ(found[i].errors.size(), 1U);
    float weights = 0.0F;
    double contributions = 0.0;
    for (const auto& one : found[i].cases) {
      weights += one.weight;
      contributions += std::abs(one.contribution[0]);
      EXPECT_EQ(one.members, model.relation()->members(one.representative));
    }
    EXPECT_NEAR(weights, 1.0F, 1e-6);
    EXPECT_GT(contributions, 0.0);
  }
  // Alone with one representative, its contribution is all that relations do.
  options.relation->n_neighbors = 1;
  const Forecaster with_one = fit(problem, options);
  const Index s = 4;
  const auto only = with_one.explain(data, {&s, 1})[0];
  ASSERT_EQ(only.cases.size(), 1U);
  EXPECT_NEAR(only.cases[0].contribution[0], only.forecast[0] - only.without_relations[0], 1e-4);
}

TEST(Forecaster, WithoutARelationTheBaseForecasts) {
  const Problem problem = make_problem(120, 2, 11);
  ForecasterOptions options = small_options();
  options.relation.reset();
  options.error_lags = 0;
  const Forecaster model = fit(problem, options);
  EXPECT_EQ(model.required_rows(), options.window);
  EXPECT_EQ(model.relation(), nullptr);
  const SeriesData data = problem.data(-1, 121);
  EXPECT_TRUE(
      same_bits(model.predict(data, ForecastOf::kEcseq), model.predict(data, ForecastOf::kBase)));
  EXPECT_TRUE(same_bits(Forecaster::from_bytes(model.to_bytes()).predict(data, ForecastOf::kBase),
                        model.predict(data, ForecastOf::kBase)));
  EXPECT_THROW(model.freeze(data), InvalidArgument);
  EXPECT_THROW(model.predict(data, ForecastOf::kControl), InvalidArgument);
}

TEST(Forecaster, BadInputIsRefusedByName) {
  const Problem problem = make_problem(60, 2, 12);
  const ForecasterOptions good = small_options();
  const auto refused = [&](const auto& change, const std::string& message) {
    ForecasterOptions options = good;
    Problem data = problem;
    Index begin = 48;
    change(options, data, begin);
    expect_refused([&] { Forecaster::fit(data.data(), begin, options); }, message);
  };
  refused([](auto& o, auto&, auto&) { o.horizon = 0; }, "horizon: expected at least 1, got 0");
  refused([](auto& o, auto&, auto&) { o.cell = "rnn"; }, "cell: 'rnn' is not one of 'lstm', 'gru'");
  refused([](auto& o, auto&, auto&) { o.window = 47; },
          "window: 47 steps and what else a forecast needs before it (48 rows), and the horizon "
          "(1), are more than the 48 training rows of Y");
  refused(
      [](auto& o, auto&, auto& begin) {
        o.horizon = 3;
        begin = 58;
      },
      "validation: expected 3 rows or more (the horizon), got 2");
  refused([](auto&, auto&, auto& begin) { begin = 60; },
          "validation: expected its first row to be one from 1 to 59, got 60");
  refused([](auto&, auto& data, auto&) { data.values.setConstant(kMissing); },
          "Y: every value of the training rows is missing");
  refused([](auto&, auto& data, auto&) { data.values.bottomRows(12).setConstant(kMissing); },
          "Y: every value of the validation rows is missing");
  refused([](auto&, auto& data, auto&) { data.values(7, 3) = INFINITY; },
          "Y: value at step 7, series 3 is infinite; a missing one is NaN");
  refused([](auto& o, auto&, auto&) { o.dropout = 1.0; },
          "dropout: expected a number in [0, 1), got 1.000000");
  Problem bad = problem;
  bad.exogenous(5, 1) = kMissing;
  EXPECT_THROW(fit(bad, good), InvalidArgument);

  const Forecaster model = fit(problem, good);
  const Index early = 6, late = 61;
  EXPECT_THROW(model.backtest(problem.data(), {&early, 1}, ForecastOf::kBase), InvalidArgument);
  EXPECT_THROW(model.backtest(problem.data(), {&late, 1}, ForecastOf::kBase), InvalidArgument);
  expect_refused([&] { model.predict(problem.data(), ForecastOf::kEcseq); },
                 "exogenous: expected 61 rows, one for each step read or forecast, got 60");
  expect_refused([&] { model.predict(problem.data(-1, 0), ForecastOf::kEcseq); },
                 "exogenous: expected 2 features, got 0");
  const Problem other = make_problem(60, 3, 12);
  expect_refused([&] { model.predict(other.data(-1, 61), ForecastOf::kEcseq); },
                 "Y: expected 6 series of 1 channels, got 9 of 1");
}

TEST(Forecaster, InterruptedFitsAndForecastsStop) {
  const Problem problem = make_problem(120, 2, 13);
  int calls = 0;
  const ProgressCallback stop = [&](const Progress&) { return ++calls < 3; };
  EXPECT_THROW(Forecaster::fit(problem.data(), 96, small_options(), stop), Interrupted);
  const Forecaster model = fit(problem, small_options());
  const Index moment = 100;
  EXPECT_THROW(model.backtest(problem.data(), {&moment, 1}, ForecastOf::kBase, 1,
                              [](const Progress&) { return false; }),
               Interrupted);
}

/// tests/parity/series_pyg.py
TEST(Forecaster, PaperModelIsPyTorchGeometrics) {
  const testing::GoldenFile golden("series.txt");
  const auto& given = golden.at("values");
  ASSERT_EQ(given.size(), 280U);
  Matrix<float> values(40, 7);
  for (Index i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<float>(given[static_cast<std::size_t>(i)]);
  }
  Rng rng(8100);
  const auto drawn = [&](Index rows, Index cols, double bound) {
    Matrix<float> out(rows, cols);
    for (Index i = 0; i < out.size(); ++i) {
      out.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
    }
    return out;
  };
  drawn(40, 7, 0.8);  // the noise of the values
  encoders::NamedTensors::Map tensors;
  tensors["layer.hidden.weight"] = drawn(128, 16, 0.3);
  tensors["encoder.lstm.weight_input"] = drawn(1, 256, 0.3);
  tensors["encoder.lstm.weight_hidden"] = drawn(64, 256, 0.3);
  tensors["encoder.lstm.bias"] = drawn(1, 256, 0.3);
  tensors["encoder.head.weight"] = drawn(64, 1, 0.3);
  tensors["encoder.head.bias"] = drawn(1, 1, 0.3);
  tensors["layer.hidden.bias"] = drawn(1, 16, 0.3);
  tensors["layer.output.weight"] = drawn(16, 1, 0.3);
  tensors["layer.output.bias"] = drawn(1, 1, 0.3);
  ForecasterOptions options = ForecasterOptions::paper();
  options.window = 12;
  options.relation->n_representatives = 4;
  options.relation->compressor = "custom";
  options.relation->custom = [](const compress::CompressionInput&, Index) {
    return compress::Grouping{{0, 0, 1, 2, 2, 1, 3}, {}};
  };
  const SeriesData data{values, 1, {}};
  const Forecaster model = Forecaster::assemble(data, tensors, options, std::pair(5.0, 16.0));
  ASSERT_EQ(model.relation()->n_representatives(), 4);
  std::vector<std::pair<Index, Index>> edges, expected;
  for (Index s = 0; s < 7; ++s) {
    for (const auto k : model.relation()->neighbourhood(s).representative) edges.push_back({s, k});
  }
  const auto& pairs = golden.at("edges");
  for (std::size_t e = 0; e < pairs.size(); e += 2) {
    expected.push_back({static_cast<Index>(pairs[e + 1]), static_cast<Index>(pairs[e])});
  }
  std::sort(edges.begin(), edges.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(edges, expected);
  golden.expect("x_com", model.freeze(data).nodes);
  golden.expect("base.forecast", model.predict(data, ForecastOf::kBase));
  golden.expect("forecast", model.predict(data, ForecastOf::kEcseq));

  const auto refused = [&](const auto& change, const std::string& message) {
    auto bad = tensors;
    change(bad);
    expect_refused([&] { Forecaster::assemble(data, bad, options); }, message);
  };
  refused([](auto& t) { t.erase("layer.output.bias"); }, "tensor 'layer.output.bias' is missing");
  refused([](auto& t) { t["encoder.lstm.bias"] = Matrix<float>::Zero(1, 128); },
          "tensor 'encoder.lstm.bias' has shape [1, 128], expected [1, 256]");
  refused([](auto& t) { t["layer.more"] = Matrix<float>::Zero(1, 1); },
          "tensors: expected 9, got 10");
}

TEST(Forecaster, PaperModelTrains) {
  const Problem problem = make_problem(150, 3, 14);
  ForecasterOptions options = ForecasterOptions::paper();
  options.window = 6;
  options.encoder_training.max_epochs = options.head_training.max_epochs = 3;
  options.encoder_training.learning_rate = options.head_training.learning_rate = 3e-3;
  const Forecaster model = Forecaster::fit(problem.data(-1, 0), 120, options);
  const auto curve = nlohmann::json::parse(model.report())["gnn"]["curve"];
  ASSERT_EQ(curve.size(), 3U);
  EXPECT_LT(curve[2]["training_loss"].get<double>(), curve[0]["training_loss"].get<double>());
  EXPECT_EQ(model.relation()->n_representatives(), 9);  // at most the number of series
}

}  // namespace
}  // namespace ecseq::pipeline
