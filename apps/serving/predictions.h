// POST /predict: from the bytes of images to JSON.
#pragma once

#include <kindred/apps/serving/batch_queue.h>
#include <kindred/apps/serving/prepared_image.h>
#include <kindred/apps/serving/server_metrics.h>
#include <kindred/third_party/httplib/http_exchange.h>

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace kindred {

inline constexpr std::size_t most_files_of_form = 64;

class Predictor {
 public:
  // `has_*`: which lists an answer has, also when they are empty.
  struct Content {
    bool has_classes = false, has_neighbours = false;
  };

  Predictor(ImagePreparer& preparer, BatchQueue& queue, ServerMetrics& metrics, Content content)
      : preparer_(preparer), queue_(queue), metrics_(metrics), content_(content) {}

  // Of a body that is an image: {"predictions": [{"class", "probability"}, ...], "neighbours": [{"path", "class",
  // "similarity"}, ...]}. Of a form: {"images": [{"file", and the same or "error"}, ...]}, in the order of its files. With
  // ?feature=1 also "feature", and with ?pictures=1 "picture", what the network sees, and a "thumbnail" of each neighbour. Of
  // an image that is damaged but readable also "warning". Throws Refused: 400 for an empty body or a form that is none, 422
  // for bytes that are no image that can be read, 503 if too many images wait or memory is missing, 500 if the features are
  // not finite. Thread-safe.
  nlohmann::json answer(const third_party::HttpRequest& request);

 private:
  struct Asked;
  nlohmann::json entry(const Asked& asked, ImageResult result, const PreparedImage& prepared) const;

  ImagePreparer& preparer_;
  BatchQueue& queue_;
  ServerMetrics& metrics_;
  const Content content_;
};

}  // namespace kindred
