// SPDX-License-Identifier: Apache-2.0
#include "wire/node_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "allocation_count.hpp"
#include "control_message.hpp"
#include "letters.hpp"

namespace tributary::internal {
namespace {

using testing::a_task;
using testing::an_update;
using testing::bytes_allocated_by;
using testing::coded;
using testing::described;
using ::testing::HasSubstr;
using testing::kFrom;
using testing::kLargest;
using testing::kLimits;
using testing::kModelSize;
using testing::kTo;
using testing::letter_of;
using testing::messages_of_every_kind;
using testing::sent_again;

using Bytes = std::vector<std::byte>;

constexpr std::size_t kVersionPlace = 0;
constexpr std::size_t kKindPlace = 2;
constexpr std::size_t kReferenceBytes = 25;

// What decoding may ask for: a few times the input, and the message of an error.
std::size_t fair_share(std::size_t input) {
  return 8 * input + 2048;
}

std::string why_refused(const Bytes& bytes, const LetterLimits& limits = kLimits) {
  const Result<NodeMessage> letter = decode_letter(bytes, limits);
  if (letter.ok()) { return "accepted: " + described(*letter); }
  EXPECT_EQ(letter.status().code(), Code::kProtocol);
  return letter.status().message();
}

void overwrite(Bytes& bytes, std::size_t place, std::uint32_t value) {
  std::memcpy(bytes.data() + place, &value, sizeof value);
}

// Refused, or a letter within the limits; in either case without much memory. A letter that is accepted and could have
// been sent has these very bytes.
void expect_harmless(const Bytes& bytes, const std::string& what) {
  Result<NodeMessage> letter = protocol_error("");
  const std::size_t taken = bytes_allocated_by([&] { letter = decode_letter(bytes, kLimits); });
  ASSERT_LE(taken, fair_share(bytes.size())) << what;
  if (!letter.ok()) {
    ASSERT_EQ(letter.status().code(), Code::kProtocol) << what;
    return;
  }
  ASSERT_LE(letter->references.size(), kLimits.references) << what;
  for (const PayloadReference& reference : letter->references) { ASSERT_LE(reference.elements, kModelSize) << what; }
  const auto again = sent_again(*letter);
  if (!again) { return; }
  if (const auto* failed = std::get_if<TaskFailedMessage>(&letter->message);
      failed && failed->code == Code::kInternal) {
    return;  // it may have had a code that is not known here
  }
  ASSERT_EQ(*again, bytes) << what;
}

TEST(NodeMessage, EveryKindOfMessageComesBackWithAllItsFields) {
  for (const Message& message : messages_of_every_kind()) {
    const std::vector<Payload> payloads = payloads_of(message);
    NodeMessage sent{kFrom, kTo, message, {}};
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      sent.references.push_back({kLargest - i, payloads[i].encoding(), payloads[i].elements(), payloads[i].size()});
    }

    const Result<NodeMessage> received = decode_letter(letter_of(message), kLimits);

    ASSERT_TRUE(received.ok()) << received.status().message() << "\n" << described(sent);
    EXPECT_EQ(described(*received), described(sent));
  }
}

TEST(NodeMessage, NumbersOfVersionAndKindsStayAsTheyAre) {
  for (const Message& message : messages_of_every_kind()) {
    const Bytes bytes = letter_of(message);

    EXPECT_EQ(bytes[kVersionPlace], static_cast<std::byte>(kWireVersion));
    EXPECT_EQ(bytes[kVersionPlace + 1], std::byte{0});
    EXPECT_EQ(std::to_integer<std::size_t>(bytes[kKindPlace]), message.index() + 1) << name_of(message);
  }
}

TEST(NodeMessage, PayloadsReturnToTheirSegments) {
  UpdateMessage message = an_update();
  message.update.segments.push_back({"", testing::sums(testing::kModelSize, 4), {}});
  message.update.segments.push_back({"n", testing::sums(testing::kModelSize, 8), {}});
  const std::vector<Payload> payloads = payloads_of(message);
  Result<NodeMessage> letter = decode_letter(letter_of(message), kLimits);
  ASSERT_TRUE(letter.ok());
  ASSERT_EQ(payloads.size(), 3U);

  std::vector<Payload> arrived = payloads;
  const Status attached = attach(*letter, arrived);

  ASSERT_TRUE(attached.ok()) << attached.message();
  const std::vector<Payload> back = payloads_of(letter->message);
  ASSERT_EQ(back.size(), 3U);
  for (std::size_t i = 0; i < back.size(); ++i) { EXPECT_EQ(back[i].bytes().data(), payloads[i].bytes().data()); }
}

TEST(NodeMessage, WhatComesBesideAModelReturnsToItsPlace) {
  const TaskMessage task = testing::a_task_with_broadcast();
  Result<NodeMessage> letter = decode_letter(letter_of(task), kLimits);
  ASSERT_TRUE(letter.ok()) << letter.status().message();

  std::vector<Payload> arrived = payloads_of(task);
  ASSERT_EQ(arrived.size(), 2U);
  ASSERT_TRUE(attach(*letter, arrived).ok());

  const auto& back = std::get<TaskMessage>(letter->message);
  EXPECT_EQ(back.model, task.model);
  EXPECT_EQ(back.epoch, 9U);
  EXPECT_EQ(back.broadcast->front().name, "control");
  EXPECT_EQ(back.broadcast->front().payload.shared_floats(), task.broadcast->front().payload.shared_floats());
  arrived.pop_back();
  EXPECT_FALSE(attach(*letter, arrived).ok());
}

TEST(NodeMessage, ATaskIsGivenItsModelWithoutACopy) {
  const TaskMessage task = a_task();
  Result<NodeMessage> letter = decode_letter(letter_of(task), kLimits);
  ASSERT_TRUE(letter.ok());

  std::array model{Payload::floats(task.model)};
  const Status attached = attach(*letter, model);

  EXPECT_TRUE(attached.ok());
  EXPECT_EQ(std::get<TaskMessage>(letter->message).model, task.model);
}

TEST(NodeMessage, PayloadsOfAnotherKindAreNotAttached) {
  Result<NodeMessage> task = decode_letter(letter_of(a_task()), kLimits);
  Result<NodeMessage> update = decode_letter(letter_of(an_update()), kLimits);
  ASSERT_TRUE(task.ok() && update.ok());

  EXPECT_EQ(attach(*task, {}).code(), Code::kProtocol);
  std::array sums{testing::sums(kModelSize, 4)};
  EXPECT_EQ(attach(*task, sums).code(), Code::kProtocol);
  EXPECT_EQ(attach(*update, {}).code(), Code::kProtocol);
}

TEST(NodeMessage, LongReasonsAreCutBetweenCharacters) {
  std::string reason(1999, 'a');
  reason += "\xC3\xA4 and more";  // the 2000th byte is within a character

  const Result<NodeMessage> failed =
      decode_letter(letter_of(TaskFailedMessage{{1, 1}, Attempt{1}, Code::kIo, reason}), kLimits);
  const Result<NodeMessage> refused =
      decode_letter(letter_of(AcknowledgeMessage{{1, 1}, false, std::string(100'000, 'b')}), kLimits);

  ASSERT_TRUE(failed.ok() && refused.ok());
  EXPECT_EQ(std::get<TaskFailedMessage>(failed->message).reason, std::string(1999, 'a'));
  EXPECT_EQ(std::get<AcknowledgeMessage>(refused->message).reason, std::string(2000, 'b'));
}

TEST(NodeMessage, ACodeThatIsNotKnownHereIsStillAFailure) {
  const Message message = TaskFailedMessage{{1, 1}, Attempt{1}, Code::kIo, "no space"};
  const std::size_t code_place = 11 + 13 + 4;
  Bytes bytes = letter_of(message);
  ASSERT_EQ(bytes[code_place], static_cast<std::byte>(Code::kIo));

  for (const int code : {0, 14, 200, 255}) {
    bytes[code_place] = static_cast<std::byte>(code);
    const Result<NodeMessage> letter = decode_letter(bytes, kLimits);

    ASSERT_TRUE(letter.ok());
    EXPECT_EQ(std::get<TaskFailedMessage>(letter->message).code, Code::kInternal) << code;
  }
}

TEST(NodeMessage, EveryTruncationIsRefused) {
  for (const Message& message : messages_of_every_kind()) {
    const Bytes whole = letter_of(message);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));

      ASSERT_FALSE(decode_letter(part, kLimits).ok()) << name_of(message) << " of " << size << " bytes";
    }
  }
}

TEST(NodeMessage, BytesAfterTheEndAreRefused) {
  for (const Message& message : messages_of_every_kind()) {
    Bytes bytes = letter_of(message);
    bytes.push_back(std::byte{0});

    EXPECT_THAT(why_refused(bytes), HasSubstr("longer than it should be")) << name_of(message);
  }
}

TEST(NodeMessage, EveryChangeOfOneByteIsHarmless) {
  for (const Message& message : messages_of_every_kind()) {
    Bytes bytes = letter_of(message);
    for (std::size_t place = 0; place < bytes.size(); ++place) {
      const std::byte was = bytes[place];
      // All values where structure may be; some within long texts.
      const int step = bytes.size() > 500 && place > 200 && place + 200 < bytes.size() ? 85 : 1;
      for (int value = 0; value < 256; value += step) {
        bytes[place] = static_cast<std::byte>(value);
        ASSERT_NO_FATAL_FAILURE(
            expect_harmless(bytes, fmt::format("{}: byte {} became {}", name_of(message), place, value)));
      }
      bytes[place] = was;
    }
  }
}

TEST(NodeMessage, TheLargestLengthAnywhereIsHarmless) {
  for (const Message& message : messages_of_every_kind()) {
    const Bytes whole = letter_of(message);
    for (std::size_t place = 0; place + 4 <= whole.size(); ++place) {
      Bytes bytes = whole;
      overwrite(bytes, place, testing::kLargest32);
      ASSERT_NO_FATAL_FAILURE(expect_harmless(bytes, fmt::format("{}: length at byte {}", name_of(message), place)));
    }
  }
}

TEST(NodeMessage, LengthsBeyondTheMessageAreRefusedBeforeMemoryIsTaken) {
  Bytes reason = letter_of(AcknowledgeMessage{{1, 1}, false, "why"});
  overwrite(reason, 11 + 13 + 1, testing::kLargest32);
  Bytes segments = letter_of(an_update());
  overwrite(segments, 11 + 13 + 20 + 32 + 32 + 8 + 4, testing::kLargest32);
  Bytes references = letter_of(a_task());
  overwrite(references, references.size() - kReferenceBytes - 4, testing::kLargest32);

  for (const Bytes& bytes : {reason, segments, references}) {
    std::string why;
    const std::size_t taken = bytes_allocated_by([&] { why = why_refused(bytes); });

    EXPECT_THAT(why, HasSubstr("a length exceeds the message"));
    EXPECT_LE(taken, fair_share(bytes.size()));
  }
}

TEST(NodeMessage, AKindOfTasksThatIsUnknownIsRefused) {
  Bytes bytes = letter_of(CancelMessage{{0, 0}});
  bytes[11 + 12] = std::byte{2};
  EXPECT_THAT(why_refused(bytes), HasSubstr("the kind of a task is unknown"));
}

TEST(NodeMessage, AListOfManySmallElementsTakesNoMemory) {
  UpdateMessage message = an_update();
  const std::size_t list = 11 + 13 + 20 + 32 + 32 + 8 + 4;
  Bytes bytes = letter_of(message);
  bytes.resize(list);
  const std::uint32_t count = 15'000;  // segments without a name: 4 bytes each
  bytes.resize(list + 4 + 4 * std::size_t{count} + 8);
  overwrite(bytes, list, count);

  std::string why;
  const std::size_t taken = bytes_allocated_by([&] { why = why_refused(bytes); });

  EXPECT_THAT(why, HasSubstr("a list is longer than it may be"));
  EXPECT_LE(taken, 2048U);
}

TEST(NodeMessage, ManyScalarsTakeMemoryAsTheirBytesDo) {
  UpdateMessage message = an_update();
  for (int i = 0; i < 1000; ++i) { message.update.scalars[fmt::format("{:x}", i)].add(1.0, message.update.weight); }
  const Bytes bytes = letter_of(message);

  bool accepted = false;
  const std::size_t taken = bytes_allocated_by([&] { accepted = decode_letter(bytes, kLimits).ok(); });

  EXPECT_TRUE(accepted);
  EXPECT_LE(taken, fair_share(bytes.size()));
}

TEST(NodeMessage, AnotherVersionIsRefused) {
  for (const int version : {0, 1, kWireVersion - 1, kWireVersion + 1, 0x0100 + kWireVersion, 0xFFFF}) {
    Bytes bytes = letter_of(HelloMessage{});
    bytes[0] = static_cast<std::byte>(version & 0xFF);
    bytes[1] = static_cast<std::byte>(version >> 8);

    EXPECT_THAT(why_refused(bytes), HasSubstr("its version is not the one spoken here")) << version;
  }
}

TEST(NodeMessage, AnUnknownKindIsRefused) {
  for (const int kind : {0, 11, 128, 255}) {
    Bytes bytes = letter_of(HelloMessage{});
    bytes[kKindPlace] = static_cast<std::byte>(kind);

    EXPECT_THAT(why_refused(bytes), HasSubstr("its kind is unknown")) << kind;
  }
}

TEST(NodeMessage, MorePayloadsThanAllowedAreRefused) {
  UpdateMessage message = an_update();
  const Segment segment = message.update.segments.front();
  message.update.segments.assign(16, segment);
  const Bytes most = letter_of(message);
  message.update.segments.assign(17, segment);
  const Bytes too_many = letter_of(message);

  EXPECT_TRUE(decode_letter(most, kLimits).ok());
  EXPECT_THAT(why_refused(too_many), HasSubstr("a list is longer than it may be"));
  EXPECT_FALSE(decode_letter(most, {.elements = kModelSize, .references = 15}).ok());
}

TEST(NodeMessage, AsManyReferencesAsTheMessageHasPayloads) {
  const std::vector<Payload> one{testing::floats({1, 2, 3, 4, 5})};
  const std::vector<std::uint64_t> id{1};

  EXPECT_THAT(why_refused(encode_letter(kFrom, kTo, ProbeMessage{}, one, id)),
              HasSubstr("a message of kind `probe` refers to 1 payloads, not to 0"));
  EXPECT_THAT(why_refused(encode_letter(kFrom, kTo, a_task(), {}, {})), HasSubstr("refers to 0 payloads, not to 1"));
  EXPECT_THAT(why_refused(encode_letter(kFrom, kTo, an_update(), {}, {})), HasSubstr("refers to 0 payloads, not to 1"));
}

TEST(NodeMessage, APayloadLargerThanTheModelIsRefused) {
  TaskMessage task = a_task();
  task.model = std::make_shared<const std::vector<float>>(kModelSize + 1);

  EXPECT_THAT(why_refused(letter_of(task)), HasSubstr("a payload of 6 values, the model has 5"));
}

TEST(NodeMessage, ATaskWhoseModelHasAnotherSizeOrEncodingIsRefused) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kModelSize - 1}) {
    TaskMessage task = a_task();
    task.model = std::make_shared<const std::vector<float>>(size);

    EXPECT_THAT(why_refused(letter_of(task)),
                HasSubstr(fmt::format("a task whose model has {} values in encoding 1, not 5", size)));
  }
  const std::vector<Payload> sums{testing::sums(kModelSize, 4)};
  const std::vector<std::uint64_t> id{1};
  EXPECT_THAT(why_refused(encode_letter(kFrom, kTo, a_task(), sums, id)), HasSubstr("in encoding 2, not 5"));
}

TEST(NodeMessage, ATaskWhoseTimeIsNegativeIsRefused) {
  for (const std::int64_t left : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    TaskMessage task = a_task();
    task.remaining = std::chrono::nanoseconds(left);

    EXPECT_THAT(why_refused(letter_of(task)), HasSubstr(fmt::format("a task whose time left is {} ns", left)));
  }
}

TEST(NodeMessage, MoreMetricsThanTheLimitAreRefused) {
  UpdateMessage message = an_update();
  message.update.scalars.clear();
  for (std::size_t i = 0; i < kLimits.scalars; ++i) { message.update.scalars[fmt::format("{:04}", i)]; }
  EXPECT_TRUE(decode_letter(letter_of(message), kLimits).ok());

  message.update.scalars["one more"];
  EXPECT_THAT(why_refused(letter_of(message)), HasSubstr("an update with 1025 metrics, at most 1024 are taken"));
}

TEST(NodeMessage, NamesLongerThanTheLimitAreRefused) {
  UpdateMessage metric = an_update();
  metric.update.scalars[std::string(256, 'm')];
  UpdateMessage segment = an_update();
  segment.update.segments.front().name = std::string(256, 's');
  for (const UpdateMessage& message : {metric, segment}) {
    EXPECT_TRUE(decode_letter(letter_of(message), kLimits).ok());
  }

  metric.update.scalars[std::string(257, 'm')];
  segment.update.segments.front().name += 's';
  for (const UpdateMessage& message : {metric, segment}) {
    EXPECT_THAT(why_refused(letter_of(message)), HasSubstr("a name of 257 bytes"));
  }
}

TEST(NodeMessage, BytesOfAPayloadMustFitItsValues) {
  struct Case {
    Encoding encoding;
    std::uint64_t elements;
    std::uint64_t bytes;
    bool fits;
  };
  const Bytes whole = letter_of(an_update());
  for (const Case& reference :
       {Case{Encoding::kFloat32, 5, 20, true}, Case{Encoding::kFloat32, 4, 16, true},
        Case{Encoding::kFloat32, 5, 19, false}, Case{Encoding::kFloat32, 5, 21, false},
        Case{Encoding::kFloat32, 0, 0, true}, Case{Encoding::kFloat32, 0, 4, false},
        Case{Encoding::kFixed, 5, 32, true}, Case{Encoding::kFixed, 5, 48, true}, Case{Encoding::kFixed, 5, 27, false},
        Case{Encoding::kFixed, 5, 57, false}, Case{Encoding::kFixed, 5, kLargest, false},
        Case{Encoding{0}, 5, 20, false}, Case{Encoding{4}, 5, 20, false}, Case{Encoding::kCoded, 5, 0, true},
        Case{Encoding::kCoded, 5, 4136, true}, Case{Encoding::kCoded, 5, 4137, false},
        Case{Encoding::kCoded, 6, 20, false}, Case{Encoding::kCoded, kLargest, 20, false},
        Case{Encoding::kFloat32, kLargest / 4 + 2, 4, false}}) {
    Bytes bytes = whole;
    std::byte* const place = bytes.data() + bytes.size() - kReferenceBytes;
    place[8] = static_cast<std::byte>(reference.encoding);
    std::memcpy(place + 9, &reference.elements, 8);
    std::memcpy(place + 17, &reference.bytes, 8);

    EXPECT_EQ(decode_letter(bytes, kLimits).ok(), reference.fits)
        << static_cast<int>(reference.encoding) << " x " << reference.elements << " in " << reference.bytes;
  }
}

// Of an update the change may be coded, and of a task the model; nothing that comes beside them.
TEST(NodeMessage, OnlyTheFirstPayloadMayBeCoded) {
  UpdateMessage update = an_update();
  update.update.segments.push_back({"control", coded(kModelSize, 26), {}});
  EXPECT_THAT(why_refused(letter_of(update)), HasSubstr("only the model and its change"));
  TaskMessage task = testing::a_task_with_broadcast();
  std::vector<Segment> broadcast = *task.broadcast;
  broadcast.front().payload = coded(kModelSize, 26);
  task.broadcast = std::make_shared<const std::vector<Segment>>(std::move(broadcast));
  EXPECT_THAT(why_refused(letter_of(task)), HasSubstr("only the model and its change"));
}

// A task's model as it came goes on with it.
TEST(NodeMessage, ACodedModelIsAttachedInBothForms) {
  const TaskMessage task = testing::a_coded_task();
  NodeMessage letter = decode_letter(letter_of(task), kLimits).value();
  std::vector<Payload> payloads = payloads_of(task);
  ASSERT_TRUE(attach(letter, payloads).ok());
  const auto& arrived = std::get<TaskMessage>(letter.message);
  EXPECT_EQ(*arrived.model, std::vector<float>(kModelSize, 0.5F));
  EXPECT_EQ(arrived.coded.size(), 26U);
  payloads = {Payload::coded(kModelSize, task.coded.shared_bytes(), nullptr)};
  EXPECT_FALSE(attach(letter, payloads).ok()) << "nobody has decoded it";
}

// Mutations begin from these: letters that are refused whole would leave everything behind the version untried.
// TRIBUTARY_WRITE_CORPUS=1 writes them anew.
TEST(NodeMessage, TheSeedsOfFuzzingAreLettersOfToday) {
  const std::filesystem::path corpus = std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "tests/fuzz/corpus/letter";
  const bool write = std::getenv("TRIBUTARY_WRITE_CORPUS") != nullptr;  // NOLINT(concurrency-mt-unsafe): only read
  std::set<std::string> names;
  for (const Message& message : messages_of_every_kind()) {
    std::string name(name_of(message));
    for (int copy = 2; !names.insert(name).second; ++copy) { name = fmt::format("{}-{}", name_of(message), copy); }
    Bytes seed{std::byte{static_cast<std::uint8_t>(ControlMessage::kNode)}};
    const Bytes letter = letter_of(message);
    seed.insert(seed.end(), letter.begin(), letter.end());
    if (write) {
      std::ofstream(corpus / name, std::ios::binary)
          .write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    }
    std::ifstream file(corpus / name, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(text)), seed)) << name;
  }
}

TEST(NodeMessage, SumsOfManyBlocksHaveSizesThatAreExpected) {
  const LetterLimits large{.elements = 3 * Payload::kBlock};
  for (const std::size_t elements :
       {std::size_t{0}, std::size_t{1}, Payload::kBlock, Payload::kBlock + 1, 3 * Payload::kBlock}) {
    for (const std::uint8_t width : {std::uint8_t{4}, std::uint8_t{5}, std::uint8_t{6}, std::uint8_t{8}}) {
      UpdateMessage message = an_update();
      message.update.segments.front().payload = testing::sums(elements, width);

      EXPECT_TRUE(decode_letter(letter_of(message), large).ok()) << elements << " x " << int{width};
    }
  }
}

TEST(NodeMessage, ScalarsOutOfOrderOrTwiceAreRefused) {
  UpdateMessage message = an_update();
  message.update.scalars.clear();
  message.update.scalars["a"].add(1.0, message.update.weight);
  message.update.scalars["b"].add(2.0, message.update.weight);
  Bytes bytes = letter_of(message);
  const auto second =
      std::find(bytes.begin() + 11 + 13 + 20 + 32 + 32 + 8 + 4 + 4 + 4 + 5 + 8, bytes.end(), std::byte{'b'});
  ASSERT_NE(second, bytes.end());

  for (const char name : {'a', 'A'}) {
    *second = static_cast<std::byte>(name);
    EXPECT_THAT(why_refused(bytes), HasSubstr("keys are out of order")) << name;
  }
}

// The bytes of the hexadecimal dump below `heading` in docs/wire-format.md: lines "00000010  7b 22 ...".
Bytes documented_bytes(const std::string& heading) {
  std::ifstream file(std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "docs/wire-format.md");
  Bytes bytes;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) { here = line == heading; }
    if (!here || line.size() < 12 || line.find_first_not_of("0123456789abcdef") != 8 || line.substr(8, 2) != "  ") {
      continue;
    }
    std::istringstream numbers(line.substr(10, 48));
    for (unsigned number = 0; numbers >> std::hex >> number;) { bytes.push_back(static_cast<std::byte>(number)); }
  }
  return bytes;
}

TEST(NodeMessage, TheDocumentedExamplesAreWhatIsSent) {
  const std::vector<Payload> task = payloads_of(a_task());
  const std::vector<Payload> update = payloads_of(an_update());
  const std::vector<std::uint64_t> ids{0x2A};

  EXPECT_EQ(documented_bytes("### A task"), encode_letter(NodeId{1}, NodeId{5}, a_task(), task, ids));
  EXPECT_EQ(documented_bytes("### An update"), encode_letter(NodeId{5}, NodeId{1}, an_update(), update, ids));
  const InquiryMessage inquiry{NodeId{5}, 9, 1, {2, 4}, {4}};
  const DecisionMessage decision = testing::a_decision();
  EXPECT_EQ(documented_bytes("### An inquiry"), encode_letter(NodeId{5}, NodeId{1}, inquiry, {}, {}));
  EXPECT_EQ(documented_bytes("### A decision"), encode_letter(NodeId{1}, NodeId{5}, decision, {}, {}));
}

}  // namespace
}  // namespace tributary::internal
