target_sources(phalanx_parallel PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/agreement.cc
  ${CMAKE_CURRENT_LIST_DIR}/communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/exit_codes.cc
  ${CMAKE_CURRENT_LIST_DIR}/flight_peers.cc
  ${CMAKE_CURRENT_LIST_DIR}/flight_recorder.cc
  ${CMAKE_CURRENT_LIST_DIR}/hang_report.cc
  ${CMAKE_CURRENT_LIST_DIR}/host_communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/host_name.cc
  ${CMAKE_CURRENT_LIST_DIR}/host_sums.cc
  ${CMAKE_CURRENT_LIST_DIR}/launch_complaint.cc
  ${CMAKE_CURRENT_LIST_DIR}/launcher.cc
  ${CMAKE_CURRENT_LIST_DIR}/launcher_watch.cc
  ${CMAKE_CURRENT_LIST_DIR}/mesh.cc
  ${CMAKE_CURRENT_LIST_DIR}/mpi_communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/mpi_flavour.cc
  ${CMAKE_CURRENT_LIST_DIR}/mpi_runtime.cc
  ${CMAKE_CURRENT_LIST_DIR}/mpi_window.cc
  ${CMAKE_CURRENT_LIST_DIR}/rank_list.cc
  ${CMAKE_CURRENT_LIST_DIR}/rank_place.cc
  ${CMAKE_CURRENT_LIST_DIR}/recorded_communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/row_sums.cc
  ${CMAKE_CURRENT_LIST_DIR}/session.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_address.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/symbol_table.cc
  ${CMAKE_CURRENT_LIST_DIR}/thread_communicator.cc
  ${CMAKE_CURRENT_LIST_DIR}/thread_stacks.cc
  ${CMAKE_CURRENT_LIST_DIR}/watchdog.cc
)
if(PHALANX_HAS_CUDA)
  target_sources(phalanx_parallel PRIVATE ${CMAKE_CURRENT_LIST_DIR}/gpu_facts.cc
                 ${CMAKE_CURRENT_LIST_DIR}/nccl_communicator.cc)
else()
  target_sources(phalanx_parallel PRIVATE ${CMAKE_CURRENT_LIST_DIR}/no_gpu_facts.cc
                 ${CMAKE_CURRENT_LIST_DIR}/no_nccl_communicator.cc)
endif()
# The loops of a sum are only worth their name when they are vectorised, which -O2 does not do.
phalanx_row_kernels(${CMAKE_CURRENT_LIST_DIR}/host_sums.cc)
