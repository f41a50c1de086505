#include "convert.hpp"
#include "ecseq/pipeline/forecaster.hpp"
#include "register.hpp"
#include "to_grouping.hpp"
#include "training_options.hpp"

namespace ecseq::bindings {
namespace {

using pipeline::Forecaster;
using pipeline::ForecasterOptions;
using pipeline::ForecastOf;
using pipeline::SeriesData;

/// Series with the arrays they point into.
struct HeldSeries {
  FloatArray values;
  FloatArray exogenous;
  SeriesData data;
};

/// values: [steps, series * channels]; exogenous: [rows, features] or None.
HeldSeries to_series(const FloatArray& values, Index channels, const py::object& exogenous) {
  HeldSeries held{values, exogenous.is_none() ? FloatArray() : exogenous.cast<FloatArray>(), {}};
  held.data = {view(held.values), channels, {}};
  if (!exogenous.is_none()) held.data.exogenous = view(held.exogenous);
  return held;
}

ForecasterOptions to_options(const py::dict& given) {
  ForecasterOptions options =
      given["paper"].cast<bool>() ? ForecasterOptions::paper() : ForecasterOptions();
  read(given, "horizon", options.horizon);
  read(given, "window", options.window);
  read(given, "cell", options.cell);
  read(given, "hidden_size", options.hidden_size);
  read(given, "head_size", options.head_size);
  read(given, "series_id_size", options.series_id_size);
  read(given, "error_lags", options.error_lags);
  read(given, "dropout", options.dropout);
  read(given, "gate", options.gate);
  read(given, "controls", options.controls);
  read(given, "loss", options.loss);
  read(given, "max_moments", options.max_moments);
  read_training(given["encoder_training"].cast<py::dict>(), options.encoder_training);
  read_training(given["head_training"].cast<py::dict>(), options.head_training);
  if (!given.contains("relation")) return options;
  if (given["relation"].is_none()) {
    options.relation.reset();
    return options;
  }
  const auto config = given["relation"].cast<py::dict>();
  relation::SeriesOptions relation;
  read(config, "compressor", relation.compressor);
  if (config.contains("grouping")) relation.custom = to_grouping(config["grouping"]);
  read(config, "n_representatives", relation.n_representatives);
  read(config, "attach", relation.attach);
  read(config, "n_neighbors", relation.n_neighbors);
  read(config, "min_correlation", relation.min_correlation);
  read(config, "lags", relation.lags);
  options.relation = relation;
  return options;
}

ForecastOf to_forecast(const std::string& of) {
  return of == "base" ? ForecastOf::kBase : of == "mlp" ? ForecastOf::kControl : ForecastOf::kEcseq;
}

py::dict to_python(const pipeline::SeriesExplanation& found) {
  py::list cases;
  for (const auto& one : found.cases) {
    cases.append(py::dict(py::arg("representative") = one.representative,
                          py::arg("weight") = one.weight, py::arg("correlation") = one.correlation,
                          py::arg("members") = one.members, py::arg("errors") = one.errors,
                          py::arg("contribution") = one.contribution));
  }
  return py::dict(py::arg("series") = found.series, py::arg("forecast") = found.forecast,
                  py::arg("base") = found.base,
                  py::arg("without_relations") = found.without_relations,
                  py::arg("errors") = found.errors, py::arg("cases") = cases);
}

}  // namespace

void register_forecaster(py::module_& m) {
  py::class_<Forecaster>(m, "Forecaster")
      .def_static(
          "fit",
          [](const FloatArray& values, Index channels, const py::object& exogenous,
             Index validation_begin, const py::dict& options, const py::object& progress) {
            const HeldSeries held = to_series(values, channels, exogenous);
            const ForecasterOptions how = to_options(options);
            const ProgressCallback callback = to_progress(progress);
            return released(
                [&] { return Forecaster::fit(held.data, validation_begin, how, callback); });
          },
          py::arg("values"), py::arg("channels"), py::arg("exogenous"), py::arg("validation_begin"),
          py::arg("options"), py::arg("progress"))
      .def_static(
          "assemble",
          [](const FloatArray& values, Index channels, const py::dict& tensors,
             const py::dict& options, const std::optional<std::pair<double, double>>& range) {
            const HeldSeries held = to_series(values, channels, py::none());
            const auto named = to_tensors(tensors);
            const ForecasterOptions how = to_options(options);
            return released([&] { return Forecaster::assemble(held.data, named, how, range); });
          },
          py::arg("values"), py::arg("channels"), py::arg("tensors"), py::arg("options"),
          py::arg("range"))
      .def(
          "backtest",
          [](const Forecaster& model, const FloatArray& values, const py::object& exogenous,
             const IntArray& moments, const std::string& of, int num_threads,
             const py::object& progress) {
            const HeldSeries held = to_series(values, model.channels(), exogenous);
            const std::vector<Index> when = to_vector(moments);
            const ProgressCallback callback = to_progress(progress);
            return to_array(released([&] {
              return model.backtest(held.data, when, to_forecast(of), num_threads, callback);
            }));
          },
          py::arg("values"), py::arg("exogenous"), py::arg("moments"), py::arg("of"),
          py::arg("num_threads"), py::arg("progress"))
      .def(
          "freeze",
          [](const Forecaster& model, const FloatArray& values, const py::object& exogenous,
             int num_threads) {
            const HeldSeries held = to_series(values, model.channels(), exogenous);
            auto frozen = released([&] { return model.freeze(held.data, num_threads); });
            return py::make_tuple(frozen.moment, to_array(std::move(frozen.nodes)));
          },
          py::arg("values"), py::arg("exogenous"), py::arg("num_threads"))
      .def(
          "predict_one",
          [](const Forecaster& model, Index series, const FloatArray& values,
             const py::object& exogenous, Index moment, const FloatArray& nodes) {
            const HeldSeries held = to_series(values, model.channels(), exogenous);
            const pipeline::FrozenRepresentatives frozen{moment, view(nodes).eigen()};
            return to_array(released([&] { return model.predict_one(series, held.data, frozen); }));
          },
          py::arg("series"), py::arg("values"), py::arg("exogenous"), py::arg("moment"),
          py::arg("nodes"))
      .def(
          "explain",
          [](const Forecaster& model, const FloatArray& values, const py::object& exogenous,
             const IntArray& series, int num_threads) {
            const HeldSeries held = to_series(values, model.channels(), exogenous);
            const std::vector<Index> which = to_vector(series);
            const auto found =
                released([&] { return model.explain(held.data, which, num_threads); });
            py::list out;
            for (const auto& one : found) out.append(to_python(one));
            return out;
          },
          py::arg("values"), py::arg("exogenous"), py::arg("series"), py::arg("num_threads"))
      .def("members",
           [](const Forecaster& model) {
             py::list out;
             const auto* relation = model.relation();
             for (Index k = 0; relation != nullptr && k < relation->n_representatives(); ++k) {
               out.append(relation->members(k));
             }
             return out;
           })
      .def("tensors", [](const Forecaster& model) { return to_arrays(model.tensors()); })
      .def("to_bytes",
           [](const Forecaster& model) {
             return py::bytes(released([&] { return model.to_bytes(); }));
           })
      .def_static(
          "from_bytes",
          [](const py::bytes& bytes, const std::string& origin) {
            const std::string_view text = bytes;
            return released([&] { return Forecaster::from_bytes(text, origin); });
          },
          py::arg("bytes"), py::arg("origin"))
      .def("save", &Forecaster::save, py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def_static("load", &Forecaster::load, py::arg("path"),
                  py::call_guard<py::gil_scoped_release>())
      .def("set_metadata", &Forecaster::set_metadata, py::arg("text"))
      .def_property_readonly("metadata", &Forecaster::metadata)
      .def_property_readonly("report", &Forecaster::report)
      .def_property_readonly("n_series", &Forecaster::n_series)
      .def_property_readonly("channels", &Forecaster::channels)
      .def_property_readonly("required_rows", &Forecaster::required_rows)
      .def_property_readonly("exogenous_features", &Forecaster::exogenous_features)
      .def_property_readonly("horizon",
                             [](const Forecaster& model) { return model.options().horizon; });
}

}  // namespace ecseq::bindings
