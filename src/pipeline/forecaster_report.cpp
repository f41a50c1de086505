#include "forecaster_report.hpp"

namespace ecseq::pipeline {

using nlohmann::json;

json report_of(const nn::TrainingReport& report) {
  json out = json::array();
  int number = 0;
  for (const auto& epoch : report.epochs) {
    out.push_back({{"epoch", ++number},
                   {"training_loss", epoch.training_loss},
                   {"validation_loss", epoch.validation_loss},
                   {"learning_rate", epoch.learning_rate},
                   {"seconds", epoch.seconds}});
  }
  return {{"curve", out},
          {"best_epoch", report.best_epoch + 1},
          {"stop_reason", report.stop_reason},
          {"seconds", report.seconds}};
}

json report_of(const relation::SeriesRelation& relation) {
  return {{"n_representatives", relation.n_representatives()},
          {"compression_note", relation.note()},
          {"isolation_rate", relation.isolation_rate()},
          {"constant_series", relation.constant_series()}};
}

}  // namespace ecseq::pipeline
