#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/progress.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/counted.h>

namespace kindred {

std::string bad_images_line(std::size_t count, const std::filesystem::path& list, const std::string& when) {
  return fmt::format("{}{} could not be read or {} damaged; {} listed in {}", counted(count, "image"), when,
                     count == 1 ? "is" : "are", count == 1 ? "it is" : "they are", list.string());
}

std::string left_out_line(std::size_t count, const BadImage& example) {
  return one_line(fmt::format("{} could not be read and {} left out{}{}: {}", counted(count, "image"),
                              count == 1 ? "is" : "are", count == 1 ? ": " : ", for example ", example.path,
                              example.reason));
}

}  // namespace kindred
