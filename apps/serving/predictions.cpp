#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/serving/predictions.h>
#include <kindred/apps/serving/requests/multipart.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/requests/request_rules.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

#include <new>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr int seconds_until_room = 1;

bool is_parameter_set(const third_party::HttpRequest& request, const std::string& name) {
  const auto at = request.parameters.find(name);
  if (at == request.parameters.end() || at->second == "0") return false;
  if (at->second != "1") throw Refused(400, fmt::format("{}={}: expected 0 or 1", name, one_line(at->second)));
  return true;
}

[[noreturn]] void refuse_for_room() {
  throw Refused(503, "too many images wait already: try again", seconds_until_room);
}

std::span<const std::uint8_t> as_bytes_of_file(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// What became of an image: a result, or words and the status that they have where the image is the whole request.
struct ImageFate {
  PreparedImage prepared{};
  ImageResult result{};
  int status = 200;
  std::string error{};
  int retry_after = 0;
};

void take_result(std::future<ImageResult>& future, ImageFate& fate) {
  try {
    fate.result = future.get();
  } catch (const OutOfMemory& error) {
    fate.status = 503, fate.error = error.what(), fate.retry_after = seconds_until_room;
  } catch (const std::bad_alloc&) {
    fate.status = 503, fate.error = "out of memory on the host: try again",
    fate.retry_after = seconds_until_room;
  } catch (const std::exception& error) {
    fate.status = 500, fate.error = one_line(error.what());
  }
}

}  // namespace

struct Predictor::Asked {
  bool feature = false, pictures = false;
};

nlohmann::json Predictor::entry(const Asked& asked, ImageResult result, const PreparedImage& prepared) const {
  nlohmann::json entry = nlohmann::json::object();
  if (content_.has_classes) {
    auto& predictions = entry["predictions"] = nlohmann::json::array();
    for (auto& [name, probability] : result.predictions)
      predictions.push_back({{"class", std::move(name)}, {"probability", probability}});
  }
  if (content_.has_neighbours) {
    auto& neighbours = entry["neighbours"] = nlohmann::json::array();
    for (FoundNeighbour& found : result.neighbours) {
      nlohmann::json one{{"path", std::move(found.path)}, {"similarity", found.similarity}};
      if (!found.class_name.empty()) one["class"] = std::move(found.class_name);
      if (asked.pictures && !found.thumbnail.empty()) one["thumbnail"] = std::move(found.thumbnail);
      neighbours.push_back(std::move(one));
    }
  }
  if (asked.feature) entry["feature"] = std::move(result.feature);
  if (asked.pictures) {
    Image seen(preparer_.side(), preparer_.side());
    seen.pixels = prepared.pixels;
    entry["picture"] = jpeg_uri(seen, 85);
  }
  if (!prepared.problem.empty()) entry["warning"] = prepared.problem;
  return entry;
}

nlohmann::json Predictor::answer(const third_party::HttpRequest& request) {
  const Asked asked{is_parameter_set(request, "feature"), is_parameter_set(request, "pictures")};
  const std::string type = request.header("content-type");
  if (request.body.empty()) throw Refused(400, "the body is empty: expected the bytes of an image");
  const bool form = is_form(type);
  std::vector<UploadedFile> files{{"", request.body}};
  if (form) files = files_of_form(request.body, multipart_boundary(type), most_files_of_form);
  if (files.empty()) throw Refused(400, "the form has no files");
  if (!queue_.has_room_for(files.size())) refuse_for_room();

  std::vector<ImageFate> fates(files.size());
  std::vector<PreparedPixels> readable;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const double start = now_seconds();
    try {
      fates[i].prepared = preparer_.prepare(as_bytes_of_file(files[i].bytes));
    } catch (const std::bad_alloc&) {
      throw Refused(503, "out of memory on the host while a picture was decoded: try again",
                    seconds_until_room);
    }
    metrics_.add_preparation(now_seconds() - start);
    if (!fates[i].prepared.pixels.empty()) {
      readable.push_back(fates[i].prepared.pixels);
    } else {
      fates[i].status = 422;
      fates[i].error = one_line(fates[i].prepared.problem);
      metrics_.add_image(ImageOutcome::unreadable);
    }
  }
  auto results = queue_.put(std::move(readable));
  if (!results) refuse_for_room();
  auto result = results->begin();
  for (ImageFate& fate : fates) {
    if (fate.status != 200) continue;
    take_result(*result++, fate);
    metrics_.add_image(fate.status == 200 ? ImageOutcome::answered : ImageOutcome::failed);
  }

  if (!form) {
    ImageFate& only = fates.front();
    if (only.status != 200) throw Refused(only.status, only.error, only.retry_after);
    return entry(asked, std::move(only.result), only.prepared);
  }
  nlohmann::json images = nlohmann::json::array();
  for (std::size_t i = 0; i < files.size(); ++i) {
    ImageFate& fate = fates[i];
    nlohmann::json one = fate.status == 200 ? entry(asked, std::move(fate.result), fate.prepared)
                                            : nlohmann::json{{"error", fate.error}};
    one["file"] = files[i].name;
    images.push_back(std::move(one));
  }
  return {{"images", std::move(images)}};
}

}  // namespace kindred
