// POST /predict: from the bytes of images to JSON.
#pragma once

#include <kindred/apps/serving/batch_queue.h>
#include <kindred/apps/serving/gate.h>
#include <kindred/apps/serving/prepared_image.h>
#include <kindred/apps/serving/server_metrics.h>
#include <kindred/third_party/httplib/http_exchange.h>

#include <nlohmann/json_fwd.hpp>

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kindred {

inline constexpr std::size_t most_files_of_form = 64;

// A request while it is worked on. To be destroyed once the answer was sent: until then its images count as waiting, so that
// clients that are slow to take their answers do not make memory grow.
struct RequestWork {
  WantedCheck check{};  // throws Refused
  std::optional<Gate::Pass> images{};
};

class Predictor {
 public:
  // `has_*`: which lists an answer has, also when they are empty.
  struct Content {
    bool has_classes = false, has_neighbours = false;
  };

  Predictor(ImagePreparer& preparer, BatchQueue& queue, ServerMetrics& metrics, Content content)
      : preparer_(preparer),
        queue_(queue),
        metrics_(metrics),
        content_(content),
        images_(std::numeric_limits<std::int64_t>::max(), queue.most_waiting()) {}

  // Of a body that is an image: {"predictions": [{"class", "probability"}, ...], "neighbours": [{"path", "class",
  // "similarity"}, ...]}. Of a form: {"images": [{"file", and the same or "error"}, ...]}, in the order of its files. With
  // ?feature=1 also "feature", and with ?pictures=1 "picture", what the network sees, and a "thumbnail" of each neighbour. Of
  // an image that is damaged but readable also "warning". Throws Refused: 400 for an empty body or a form that is none, 422
  // for bytes that are no image that can be read, 503 if the images of all requests together are more than may wait or memory
  // is missing, 500 if the features are not finite; and what `work.check` throws, which is called before each image and while it
  // waits for others to be decoded. Thread-safe.
  nlohmann::json answer(const third_party::HttpRequest& request, RequestWork& work);

 private:
  struct Asked;
  struct Fate;
  void take_room(std::size_t images, RequestWork& work);
  PreparedPixels prepare(std::span<const std::uint8_t> file, const Asked& asked, const WantedCheck& check,
                         Fate& fate);
  void compute(std::vector<PreparedPixels> readable, std::vector<Fate>& fates);
  nlohmann::json entry(const Asked& asked, Fate& fate) const;

  ImagePreparer& preparer_;
  BatchQueue& queue_;
  ServerMetrics& metrics_;
  const Content content_;
  Gate images_;  // prepared, of all requests
};

}  // namespace kindred
