# One suite for every communicator; a twin adds only the way its ranks are started.
add_library(communicator_suite OBJECT communicator_suite.cc)
target_link_libraries(communicator_suite PRIVATE phalanx_parallel GTest::gtest)
phalanx_test_flags(communicator_suite)

phalanx_test(NAME thread_communicator_test LABEL ranks
  SOURCES $<TARGET_OBJECTS:communicator_suite> thread_communicator_test.cc agreement_test.cc
  LIBS phalanx_parallel)
phalanx_test(NAME watchdog_test LABEL ranks SOURCES flight_recorder_test.cc hang_report_test.cc
  LIBS phalanx_parallel)
phalanx_test(NAME store_communicator_test LABEL ranks
  SOURCES $<TARGET_OBJECTS:communicator_suite> store_communicator_test.cc
  LIBS phalanx_parallel)
# Its resolver is its own.
phalanx_test(NAME store_address_test LABEL unit
  SOURCES store_address_test.cc ${CMAKE_SOURCE_DIR}/parallel/store_address.cc
  LIBS phalanx_flags ${CMAKE_DL_LIBS})
phalanx_test(NAME session_test LABEL unit
  SOURCES host_sums_test.cc launch_complaint_test.cc launcher_test.cc leaf_sums_test.cc mesh_test.cc session_test.cc
  LIBS phalanx_parallel)
foreach(ranks 2 3 4)
  phalanx_test(NAME mpi_communicator_test LABEL mpi RANKS ${ranks}
    SOURCES $<TARGET_OBJECTS:communicator_suite> mpi_communicator_test.cc
    LIBS phalanx_parallel)
endforeach()
phalanx_test(NAME session_mpi_test LABEL mpi RANKS 4
  SOURCES session_mpi_test.cc
  LIBS phalanx_parallel)
if(PHALANX_HAS_CUDA)
  phalanx_test(NAME nccl_communicator_test LABEL gpu
    SOURCES $<TARGET_OBJECTS:communicator_suite> nccl_communicator_test.cc
    LIBS phalanx_parallel)
endif()
