// SPDX-License-Identifier: Apache-2.0
#include "control_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tributary::internal {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

RankNumbers some_numbers() {
  RankNumbers numbers;
  numbers.question = 9;
  numbers.threads = 12;
  numbers.reports = 13;
  numbers.tasks_trained = kLargest;
  numbers.bytes_sent = 1;
  numbers.bytes_received = 2;
  numbers.train_ns = 3;
  numbers.merge_ns = 4;
  numbers.send_ns = kLeast;
  numbers.wait_ns = 6;
  numbers.merge_ns_by_tier = {{0, 7}, {0xFFFFFFFF, kLeast}};
  numbers.tiers = {{1, {1, 2, 3, 4, 5}}, {2, {kLargest, kLargest, kLargest, kLeast, kLeast}}};
  return numbers;
}

// One of each, as they are sent: the kind, and what follows.
std::vector<Bytes> letters_of_every_kind() {
  EndLetter end;
  end.code = 5;
  end.message = "rank 2 is silent";
  end.lost = {2, 0xFFFFFFFF};
  EdgesLetter edges;
  edges.edges = {{1, {1, 2, 3, 4, 5}}, {77, {6, 7, 8, 9, 10}}};
  return {rank_letter(ControlMessage::kBeat, BeatLetter{kLargest}),
          rank_letter(ControlMessage::kNote, NoteLetter{3, 4, kLargest, "refused"}),
          rank_letter(ControlMessage::kCounted, some_numbers()),
          rank_letter(ControlMessage::kEnd, end),
          rank_letter(ControlMessage::kEdges, edges),
          rank_letter(ControlMessage::kLost, LostLetter{2, "rank 2 is silent"}),
          rank_letter(ControlMessage::kBack, LostLetter{2, ""}),
          rank_letter(ControlMessage::kBye, RankNumbers())};
}

// Decodes what follows the kind as that kind's letter, and writes it again.
Result<Bytes> written_again(std::span<const std::byte> letter) {
  const auto again = [&]<typename T>(T /*as*/) -> Result<Bytes> {
    TRIBUTARY_ASSIGN_OR_RETURN(const T value, decode<T>(letter.subspan(1)));
    return rank_letter(static_cast<ControlMessage>(letter.front()), value);
  };
  switch (static_cast<ControlMessage>(letter.front())) {
    case ControlMessage::kBeat:
    case ControlMessage::kCount:
      return again(BeatLetter());
    case ControlMessage::kNote:
      return again(NoteLetter());
    case ControlMessage::kCounted:
    case ControlMessage::kBye:
      return again(RankNumbers());
    case ControlMessage::kEnd:
      return again(EndLetter());
    case ControlMessage::kEdges:
      return again(EdgesLetter());
    case ControlMessage::kLost:
    case ControlMessage::kBack:
      return again(LostLetter());
    case ControlMessage::kNode:
      break;
  }
  return protocol_error("no such letter");
}

TEST(RankLetters, KindsKeepTheirNumbers) {
  EXPECT_EQ(static_cast<int>(ControlMessage::kNode), 1);
  EXPECT_EQ(static_cast<int>(ControlMessage::kBeat), 2);
  EXPECT_EQ(static_cast<int>(ControlMessage::kNote), 3);
  EXPECT_EQ(static_cast<int>(ControlMessage::kCount), 4);
  EXPECT_EQ(static_cast<int>(ControlMessage::kCounted), 5);
  EXPECT_EQ(static_cast<int>(ControlMessage::kEnd), 6);
  EXPECT_EQ(static_cast<int>(ControlMessage::kEdges), 7);
  EXPECT_EQ(static_cast<int>(ControlMessage::kBye), 8);
  EXPECT_EQ(static_cast<int>(ControlMessage::kLost), 9);
  EXPECT_EQ(static_cast<int>(ControlMessage::kBack), 10);
}

TEST(RankLetters, NumbersComeBackWithAllTheirFields) {
  const RankNumbers sent = some_numbers();

  const Result<RankNumbers> received = decode<RankNumbers>(encode(sent));

  ASSERT_TRUE(received.ok()) << received.status().message();
  EXPECT_EQ(received->question, 9U);
  EXPECT_EQ(received->threads, 12U);
  EXPECT_EQ(received->tasks_trained, kLargest);
  EXPECT_EQ(received->bytes_sent, 1U);
  EXPECT_EQ(received->bytes_received, 2U);
  EXPECT_EQ(received->train_ns, 3);
  EXPECT_EQ(received->merge_ns, 4);
  EXPECT_EQ(received->send_ns, kLeast);
  EXPECT_EQ(received->wait_ns, 6);
  EXPECT_EQ(received->merge_ns_by_tier, sent.merge_ns_by_tier);
  ASSERT_EQ(received->tiers.size(), 2U);
  const EdgeTraffic traffic = received->tiers.at(1).traffic();
  EXPECT_EQ(traffic.messages, 1U);
  EXPECT_EQ(traffic.bytes_down, 2U);
  EXPECT_EQ(traffic.bytes_up, 3U);
  EXPECT_EQ(traffic.send_time.count(), 4);
  EXPECT_EQ(traffic.wait_time.count(), 5);
}

TEST(RankLetters, ANoteComesBackWithAllItsFields) {
  const Bytes letter = rank_letter(ControlMessage::kNote, NoteLetter{3, 4, kLargest, "because"});

  const Result<NoteLetter> note = decode<NoteLetter>(std::span(letter).subspan(1));

  EXPECT_EQ(letter.front(), std::byte{3});
  ASSERT_TRUE(note.ok());
  EXPECT_EQ(note->kind, 3);
  EXPECT_EQ(note->node, 4U);
  EXPECT_EQ(note->round, kLargest);
  EXPECT_EQ(note->detail, "because");
}

TEST(RankLetters, WhatIsReadIsWrittenTheSame) {
  for (const Bytes& letter : letters_of_every_kind()) {
    const Result<Bytes> again = written_again(letter);

    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(*again, letter);
  }
}

TEST(RankLetters, EveryTruncationAndEveryByteTooManyIsRefused) {
  for (const Bytes& letter : letters_of_every_kind()) {
    for (std::size_t size = 1; size < letter.size(); ++size) {
      EXPECT_FALSE(written_again(std::span(letter).first(size)).ok())
          << "kind " << std::to_integer<int>(letter.front()) << " of " << size << " bytes";
    }
    Bytes longer = letter;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(written_again(longer).ok());
  }
}

TEST(RankLetters, EveryChangeOfOneByteIsRefusedOrReadAsItStands) {
  for (Bytes letter : letters_of_every_kind()) {
    for (std::size_t place = 1; place < letter.size(); ++place) {
      const std::byte was = letter[place];
      for (int value = 0; value < 256; ++value) {
        letter[place] = static_cast<std::byte>(value);
        const Result<Bytes> again = written_again(letter);
        if (again.ok()) {
          ASSERT_EQ(*again, letter) << "byte " << place << " became " << value;
        } else {
          ASSERT_EQ(again.status().code(), Code::kProtocol);
        }
      }
      letter[place] = was;
    }
  }
}

TEST(RankLetters, ANodesMessageFollowsItsKind) {
  const Bytes letter = rank_letter(ControlMessage::kNode, Bytes{std::byte{1}, std::byte{0}});

  EXPECT_EQ(letter, (Bytes{std::byte{1}, std::byte{1}, std::byte{0}}));
}

}  // namespace
}  // namespace tributary::internal
