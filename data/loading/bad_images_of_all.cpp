#include <kindred/data/loading/bad_images_of_all.h>
#include <kindred/engine/error.h>

#include <charconv>
#include <map>
#include <string>
#include <utility>

namespace kindred {
namespace {

// Paths and reasons may hold any character, so their lengths stand before them: "17 2 9 5 " and then 9 + 5 characters.
std::string as_text(const std::vector<BadImage>& images) {
  std::string text;
  for (const BadImage& image : images) {
    text += fmt::format("{} {} {} {} ", image.index, static_cast<int>(image.outcome), image.path.size(),
                        image.reason.size());
    text += image.path;
    text += image.reason;
  }
  return text;
}

class BadImageReader {
 public:
  explicit BadImageReader(const std::string& text) : text_(text) {}

  bool is_at_end() const { return at_ == text_.size(); }
  BadImage next() {
    BadImage image;
    image.index = number();
    image.outcome = static_cast<Outcome>(number());
    const auto path = static_cast<std::size_t>(number()), reason = static_cast<std::size_t>(number());
    image.path = characters(path);
    image.reason = characters(reason);
    return image;
  }

 private:
  std::int64_t number() {
    std::int64_t value = 0;
    const char* const end = text_.data() + text_.size();
    const auto [behind, error] = std::from_chars(text_.data() + at_, end, value);
    check(error == std::errc() && behind != end && *behind == ' ' && value >= 0, ExitCode::internal,
          "a list of bad images from another process: no number at character {}", at_);
    at_ = static_cast<std::size_t>(behind - text_.data()) + 1;
    return value;
  }
  std::string characters(std::size_t count) {
    check(count <= text_.size() - at_, ExitCode::internal,
          "a list of bad images from another process: {} characters at {} of {}", count, at_, text_.size());
    at_ += count;
    return text_.substr(at_ - count, count);
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<BadImage> bad_images_of_all(const Communicator& processes, std::vector<BadImage> own) {
  if (processes.is_alone()) return own;
  std::map<std::int64_t, BadImage> by_index;
  for (const std::string& text : processes.gather(as_text(own)))
    for (BadImageReader reader(text); !reader.is_at_end();) {
      BadImage image = reader.next();
      by_index.try_emplace(image.index, std::move(image));
    }
  std::vector<BadImage> all;
  for (auto& [index, image] : by_index) all.push_back(std::move(image));
  return all;
}

}  // namespace kindred
