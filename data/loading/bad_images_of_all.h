// Bad images, over several processes: each sees only those of its own share.
#pragma once

#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/communicator/communicator.h>

#include <vector>

namespace kindred {

// The images of the lists that all processes give, each once, in ascending order of index; the same in every process. All
// make this call. If two processes list the same image, the entry of the lower rank counts. With one process, its own list.
std::vector<BadImage> bad_images_of_all(const Communicator& processes, std::vector<BadImage> own);

}  // namespace kindred
