"""Errors in kernels, in waits and in counts of work, and the test cases that must notice each."""

# The test cases that must notice.
GRADIENT_TESTS = "gradients agree*,cpu agrees*"
TRIPLETS = "triplets on a GPU*"
# (file, right text, text with the planted error). For kernels of the GPU, which run on the host here, also the test
# cases that must notice, because all cases would take minutes. For a header also a source that includes it.
ERRORS = [
    ("layers/batch_norm/reference.cpp", "centered -= (d_bias", "centered += (d_bias"),
    ("layers/l2_normalize/reference.cpp", "[m * dim + d] - y.data<T>()[m * dim + d] * along",
     "[m * dim + d] + y.data<T>()[m * dim + d] * along"),
    ("losses/supcon/cpu_rows.cpp", "of_positive = all * push - pulled", "of_positive = all * push + pulled"),
    ("losses/pairs/cpu.cpp", "t>(j)] += value", "t>(j)] -= value"),
    ("losses/triplet/cpu.cpp", "-static_cast<float>(row.hits[n])", "static_cast<float>(row.hits[n])"),
    ("layers/conv2d/reference.cpp", "dx[in * s.c + c] += dy", "dx[in * s.c + c] -= dy"),
    ("layers/batch_norm/cpu.cpp", "offset[c] = slope[c]", "offset[c] = -slope[c]"),
    ("losses/supcon/cuda.cu", "(1 / formula.temperature), d_rows", "(-1 / formula.temperature), d_rows",
     "supcon on cuda: contrasts*"),
    ("layers/linear/cuda_plain.cu", "sum += partial[w][lane]", "sum -= partial[w][lane]", "linear layers on a GPU*"),
    ("third_party/search/library_search.cpp", "if (is_open && !shared) return true;", "", "library search*"),
    ("engine/optimizer/cuda.cu", "s[0].element[j], g.element[j] * unscale", "s[0].element[j], g.element[j]",
     "optimizer: scaled*"),
    # A batch that is divided among processes: a dropped row offset, anchors of others that are forgotten, a queue whose rows
    # pull, places of a ring in the order of the processes, a mean over the own rows, the gradient of another process's rows.
    ("losses/supcon/shared.cpp", "formula.row_offset = processes.rank() * own_rows;", "formula.row_offset = 0;",
     "many processes: supcon is*"),
    ("losses/supcon/shared.cpp", ".cap = cap, .terms = terms};", ".cap = cap};", "many processes: supcon is*"),
    ("losses/supcon/shared.cpp", "share : std::numeric_limits<double>::infinity()", "share : 0.0",
     "many processes: supcon with a queue*"),
    ("losses/supcon/shared.cpp", "(view * processes.size() + processes.rank()) * images",
     "(processes.rank() * options.views + view) * images", "many processes: supcon is*"),
    ("losses/cross_entropy/cross_entropy.cpp", "processes.size() * logits.dim(0)", "logits.dim(0)",
     "many processes: cross-entropy*"),
    ("losses/gathered/gathered.cpp", "(view * size + rank) * elements", "view * size * elements",
     "many processes: every loss*"),
    # Batch norm over processes: statistics or sums that are not merged, a count of the own rows alone.
    ("layers/batch_norm/shared_statistics.cpp", "  processes.all_reduce(Output(sums.both));\n", "", "batch norm over processes: the result*"),
    ("layers/batch_norm/batch_norm.cpp", "rows_of(a.x) * (processes ? processes->size() : 1)", "rows_of(a.x)",
     "batch norm over processes: the result*"),
    ("layers/batch_norm/batch_norm.cpp", "norm.rows *= norm.processes->size()", "norm.rows *= 1",
     "micro-batches over processes: with statistics of the full*"),
    ("engine/communicator/gradient_sums.cpp", "while (started_ < buckets_.size()) start_next();", "started_ = buckets_.size();",
     "gradient sums: in buckets*"),
    # The message about a step's images, whose rows shift after a process with bad images.
    ("apps/training/batch_source.cpp", "const bool has_news = *next++ != 0;", "const bool has_news = is_news || *next++ != 0;",
     "batch source: a bad image of the first*"),
    # Forgotten waits, events in the wrong place, memory that is reused too early.
    ("third_party/nccl/nccl_transport.cpp", "    gpu().wait_on_gpu(summed_, GpuStream::compute);\n", "",
     "nccl*emulated: sums go on*"),
    ("third_party/nccl/nccl_transport.cpp", "    gpu().wait_on_gpu(forked_, GpuStream::communicate);\n", "",
     "nccl*emulated: sums go on*"),
    ("apps/training/input_feed.cpp", "  gpu().synchronize();  // the zeros", "  // the zeros", "input feed*"),
    ("apps/training/input_feed.cpp", "      if (slot.used) gpu().wait_on_host(slot.arrived);\n    } catch", "    } catch",
     "input feed*"),
    ("apps/training/input_feed.cpp", "  if (step == 0 && slot.used) gpu().wait_on_host(slot.arrived);\n", "", "input feed*"),
    ("apps/training/input_feed.cpp", "  if (slot.used) gpu().wait_on_gpu(slot.released, GpuStream::copy);\n", "",
     "input feed*"),
    ("apps/training/input_feed.cpp", "gpu().mark(slot.arrived, GpuStream::copy)",
     "gpu().mark(slot.arrived, GpuStream::compute)", "input feed*"),
    ("apps/training/input_feed.cpp", """    gpu().copy_bytes(area, Tensor(*tensor).raw(), tensor->bytes(), GpuStream::copy);
    area += tensor->bytes();
  }
  gpu().mark(slot.arrived, GpuStream::copy);
""", """    gpu().mark(slot.arrived, GpuStream::copy);
    gpu().copy_bytes(area, Tensor(*tensor).raw(), tensor->bytes(), GpuStream::copy);
    area += tensor->bytes();
  }
""", "input feed*"),
    ("apps/training/input_feed.cpp", "gpu().wait_on_gpu(at(slot).arrived, GpuStream::compute)",
     "static_cast<void>(at(slot))", "input feed*"),
    ("apps/training/input_feed.cpp", "gpu().mark(at(slot).released, GpuStream::compute)",
     "static_cast<void>(at(slot))", "input feed*"),
    ("apps/training/training_steps.cpp", "    feed_.wait_for(slot);\n", "", "steps on cuda: as late*"),
    ("apps/training/training_steps.cpp", "    feed_.release(slot);\n    return inputs;", "    return inputs;",
     "steps on cuda: as late*"),
    ("apps/training/training_steps.cpp", """    gpu().copy_bytes(outcomes_.raw(), launch.outcomes, outcomes_.bytes(), GpuStream::compute);
    gpu().mark(launch.copied, GpuStream::compute);
""", """    gpu().mark(launch.copied, GpuStream::compute);
    gpu().copy_bytes(outcomes_.raw(), launch.outcomes, outcomes_.bytes(), GpuStream::compute);
""", "steps on cuda: as late*"),
    ("apps/training/training_steps.cpp", "      gpu().wait_on_host(launch.copied);\n", "",
     "steps on cuda: as late*"),
    ("apps/training/training_steps.cpp", "std::array<Launch, 4> launches_", "std::array<Launch, 1> launches_",
     "steps on cuda: as late*"),
    ("apps/training/training_steps.cpp", "      gpu().synchronize();\n    } catch", "    } catch",
     "steps on cuda: as late*"),
    ("apps/training/run/checkpoint.cpp", "return tensor.to(Device::cpu, tensor.dtype());", "return tensor;",
     "steps on cuda: as late*"),
    ("engine/recording.cpp", "const PoolScope scope(Device::cuda, pool_);", "const PoolScope scope(Device::plan, pool_);",
     "recordings on cuda*"),
    ("engine/memory.cpp", "recordings_ == 0 || recording_,", "recordings_ >= 0,", "recordings on cuda*"),
    # The counted work of a GPU.
    ("layers/batch_norm/plan.cpp", ".read = bytes_of({x, channels.mean, channels.inv_std, channels.scale, channels.bias, residual})",
     ".read = bytes_of({x, channels.mean, channels.inv_std, channels.scale, channels.bias, residual}) / 2", "predicted: bytes*"),
    ("layers/conv2d/plan.cpp", "if (addend.defined()) add(", "if (!addend.defined() && dx.numel() == 0) add(",
     "predicted: bytes*"),
    ("losses/cross_entropy/plan.cpp", ".written = bytes_of({d_logits})", ".written = bytes_of({d_logits}) / 2",
     "work: every*"),
    # SupCon: sums that continue inside tensor cores, stages that are not waited for, and work that is divided unevenly.
    ("losses/supcon/cuda_tiles.cuh", "float of_tile[depth / 8][4] = {};",
     "float of_tile[depth / 8][4];\n    memcpy(of_tile, sums + slice * (depth / 8), sizeof of_tile);\n    memset(sums + slice * (depth / 8), 0, sizeof of_tile);",
     "supcon on cuda: 64 anchors*", "losses/supcon/cuda_backward_labels.cu"),
    ("losses/supcon/cuda_stages.cuh", "    multiply(row_slice(0), split_slice(parity_));\n    __syncthreads();",
     "    multiply(row_slice(0), split_slice(parity_));", "supcon on cuda: odd numbers*", "losses/supcon/cuda.cu"),
    ("losses/supcon/cuda_stages.cuh", "    cuda::wait_for_copies();\n", "", "supcon on cuda: odd numbers*",
     "losses/supcon/cuda.cu"),
    ("losses/supcon/cuda_tiles.cuh", "float product[2][4] = {};",
     "float product[2][4]; memcpy(product, c, sizeof product); memset(c, 0, sizeof product);", "supcon on cuda: long*",
     "losses/supcon/cuda_backward_labels.cu"),
    ("losses/supcon/cuda.cu", "b = blocks.first + 1", "b = blocks.first + 2", "supcon on cuda: few blocks*"),
    ("losses/supcon/areas.h", "(block < one_more ? block : one_more)", "(block < one_more ? 0 : one_more)",
     "supcon's areas*", "tests/losses/supcon_areas_test.cpp"),
    ("losses/supcon/areas.cpp", "divide_up(rows, tile.rows) / blocks * blocks", "divide_up(rows, tile.rows)",
     "supcon's areas*"),
    ("losses/supcon/areas.h", "> 115 * tiles ? 4 : 1", "> 115 * tiles ? 1 : 1", "supcon's areas: the busiest*",
     "losses/supcon/areas.cpp"),
    ("losses/supcon/areas.h", "if (first < own_end && own_end < end) end = own_end;", "", "supcon's areas: every*",
     "tests/losses/supcon_areas_test.cpp"),
    ("losses/supcon/cuda_tiles.cuh", "else if (width > tile_columns / 4)", "else if (width > tile_columns)",
     "supcon on cuda: tiles of every width", "losses/supcon/cuda.cu"),
    ("losses/supcon/cuda_pairs.cuh", "column >= end_column ||", "column >= end_column + 16 ||", "supcon on cuda: tiles of every width",
     "losses/supcon/cuda.cu"),
    ("engine/cuda/tensor_core.h", "sum < 0 ? -magnitude", "sum < 0 ? magnitude", "tensor core*",
     "tests/engine/tensor_core_test.cpp"),
    # Kernels with a missing barrier, which only causes a race, and other errors that a lenient emulation would not
    # find.
    ("engine/cuda/launch.h", "  __syncthreads();  // an earlier use of `partial` may still be read\n", "", TRIPLETS,
     "losses/triplet/cuda.cu"),
    ("engine/cuda/launch.h", "  __syncthreads();\n  value = 0;", "  value = 0;", TRIPLETS, "losses/triplet/cuda.cu"),
    ("losses/triplet/cuda.cu", "    __syncthreads();\n    if (static_cast<int>(threadIdx.x) >= half) continue;",
     "    if (static_cast<int>(threadIdx.x) >= half) continue;", TRIPLETS),
    ("losses/cross_entropy/cuda.cu", "    __syncthreads();\n    if", "    if", "cross_entropy on cuda*"),
    ("layers/batch_norm/sums.cuh", "    __threadfence();  // what they wrote is visible before the count is\n", "",
     "batch norm on a GPU: two gradients*", "layers/batch_norm/cuda_backward.cu"),
    ("layers/batch_norm/sums.cuh", "    __threadfence();  // and what others wrote is read after it\n", "",
     "batch norm on a GPU: two gradients*", "layers/batch_norm/cuda_backward.cu"),
    ("layers/batch_norm/sums.cuh", "  __syncthreads();  // all threads have written\n", "",
     "batch norm on a GPU: two gradients*", "layers/batch_norm/cuda_backward.cu"),
    ("layers/linear/cuda_plain.cu", "  __syncthreads();\n", "", "linear layers on a GPU*"),
    ("engine/optimizer/cuda.cu", "  __syncthreads();\n", "", "optimizer: every rule*"),
    ("engine/optimizer/cuda.cu", "atomicOr(flag, bit)", "*flag |= bit", "optimizer: gradients that*"),
    ("engine/kernels/accumulate.cu", "cuda::packs_fit<T>(left, right, sum)", "true", "on a GPU* sums and*"),
    ("data/loading/resident_views.cu", "  __syncthreads();\n  const std::uint8_t* corner", "  const std::uint8_t* corner",
     "resident views on a GPU: crops*"),
]
