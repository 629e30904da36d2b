"""Text becomes tokens by roles and lengths, whatever the template, the end token or the pad token."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.errors import DataError, ModelError
from palate.core.records import Message, Prompt
from palate.models import chat
from palate.models.template import render, turn_of
from palate.models.tokenizers import ends_of, load_tokenizer, pad_id_of
from voices import CHATML, VOICES, folder_of, tokenizer_of

ASKED = Prompt.of("how do i protect a password?")
TOKENIZERS = {name: tokenizer_of(name) for name in VOICES}


@pytest.fixture(params=VOICES)
def tokenizer(request):
    return TOKENIZERS[request.param]


def said(*texts):
    """A conversation: user and assistant in turn."""
    return Prompt(tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)))


def text_of(tokenizer, ids):
    return tokenizer.decode(ids)


def trained_text(tokenizer, row):
    return text_of(tokenizer, [t for t, on in zip(row.tokens, row.trained, strict=True) if on])


class TestOneAnswer:
    def test_prompt_and_answer_are_what_the_template_writes(self, tokenizer):
        start, (answer,), apart = chat.encode_answers(tokenizer, ASKED, ["use a long one."])
        ends = ends_of(tokenizer)
        assert start == chat.encode_prompt(tokenizer, ASKED)
        assert [i for i, t in enumerate(answer) if t in ends.ids] == [len(answer) - 1]
        assert apart == 0
        end = text_of(tokenizer, [ends.written])
        whole = render(tokenizer, [*ASKED.messages, Message("assistant", "use a long one.")])
        if tokenizer.chat_template:
            assert whole.startswith(text_of(tokenizer, [*start, *answer]))
        assert text_of(tokenizer, answer).endswith("use a long one." + end)

    def test_one_begin_token_though_template_and_tokenizer_both_write_it(self, tokenizer):
        start, (answer,), _ = chat.encode_answers(tokenizer, ASKED, ["yes"])
        begin = tokenizer.bos_token_id
        name = next(name for name, one in TOKENIZERS.items() if one is tokenizer)
        expected = 1 if name in ("llama3", "gemma", "mistral") else 0
        assert start.count(begin) == expected, "an end token that is the begin token, too, is no begin"
        if expected:
            assert start[0] == begin
            assert tokenizer(render(tokenizer, ASKED.messages))["input_ids"][:2] == [begin, begin], "the danger is real"
            assert begin not in answer

    @settings(max_examples=60)
    @given(st.text(alphabet="ab .\n\tthé", max_size=12), st.text(alphabet="ab \n.the", min_size=1, max_size=12))
    def test_the_prompt_never_depends_on_the_answer(self, question, answer):
        for tokenizer in TOKENIZERS.values():
            start, (tokens,), apart = chat.encode_answers(tokenizer, Prompt.of(question), [answer])
            assert start == chat.encode_prompt(tokenizer, Prompt.of(question))
            whole = render(tokenizer, [*Prompt.of(question).messages, Message("assistant", answer)])
            row = tokenizer.decode([*start, *tokens], skip_special_tokens=True).strip()
            assert row == tokenizer.decode(tokenizer(whole)["input_ids"], skip_special_tokens=True).strip()
            assert apart == 0 or answer[0] in "\n\t "

    def test_an_answer_that_begins_with_line_breaks_stands_apart(self):
        # "\n" of the prompt and "\n" of the answer are one token together.
        tokenizer = TOKENIZERS["chatml"]
        start, (answer,), apart = chat.encode_answers(tokenizer, ASKED, ["\nthe answer"])
        assert apart == 1
        assert start == chat.encode_prompt(tokenizer, ASKED)
        assert text_of(tokenizer, answer) == "\nthe answer<|im_end|>"

    def test_a_template_that_trims_decides(self):
        (answer,) = chat.encode_answers(TOKENIZERS["llama3"], ASKED, ["  yes \n"]).completions
        assert text_of(TOKENIZERS["llama3"], answer) == "yes<|eot_id|>"

    def test_an_end_token_in_the_text_is_refused(self, tokenizer):
        end = text_of(tokenizer, [ends_of(tokenizer).written])
        with pytest.raises(DataError, match="end token in its text"):
            chat.encode_answers(tokenizer, ASKED, [f"one{end}two"])

    def test_decode_stops_at_any_end(self):
        tokenizer = TOKENIZERS["llama3"]
        word = tokenizer("the", add_special_tokens=False)["input_ids"]
        for end in ("<|eot_id|>", "<|end_of_text|>"):
            assert chat.decode(tokenizer, [*word, tokenizer.convert_tokens_to_ids(end), *word]) == "the"


class TestPrefix:
    def broken(self, template, voice="chatml"):
        return tokenizer_of(voice, template=template)

    @pytest.mark.parametrize(
        ("old", "new", "left", "right"),
        [
            # Asks with a thought that no finished answer has.
            ("assistant\\n' }}{%- endif", "assistant\\n<think>' }}{%- endif", "'<'", "'w"),
            # One line break more than before an answer.
            ("assistant\\n' }}{%- endif", "assistant\\n\\n' }}{%- endif", "'\\n\\n'", "'\\n'"),
            # Another mark before the answer.
            ("assistant\\n' }}{%- endif", "assistant: ' }}{%- endif", "':'", "'\\n'"),
        ],
    )
    def test_a_template_that_asks_otherwise_than_it_writes_stops(self, old, new, left, right):
        assert old in CHATML
        tokenizer = self.broken(CHATML.replace(old, new))
        for encode in (
            lambda: chat.encode_prompt(tokenizer, ASKED),
            lambda: chat.encode_answers(tokenizer, ASKED, ["yes"]),
            lambda: chat.encode_conversation(tokenizer, ASKED, "yes"),
        ):
            with pytest.raises(DataError, match="tokens change") as caught:
                encode()
            message = str(caught.value)
            assert f"expected: {left}" in message
            assert f"found: {right}" in message
            assert "where: token " in message

    def test_a_blank_that_joins_the_first_word_stops(self):
        blank = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        tokenizer = self.broken(blank + "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}", "plain")
        with pytest.raises(DataError, match="tokens change") as caught:
            chat.encode_prompt(tokenizer, ASKED)
        assert "expected: ' '" in str(caught.value)

    def test_a_template_that_rewrites_the_question_stops_at_that_prompt(self):
        # Whether the last message is the user's decides how it is written.
        template = CHATML.replace("m.content +", "(m.content if loop.last or '!' not in m.content else 'hm') +")
        tokenizer = self.broken(template)
        assert turn_of(tokenizer).problem is None
        chat.encode_prompt(tokenizer, ASKED)
        with pytest.raises(DataError, match="tokens change"):
            chat.encode_prompt(tokenizer, Prompt.of("help!"))

    def test_a_template_that_leaves_the_answer_out_is_refused(self):
        silent = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
        with pytest.raises(DataError, match="does not write what the assistant says"):
            chat.encode_prompt(self.broken(silent), ASKED)

    def test_a_role_that_the_template_refuses_is_named(self):
        with pytest.raises(DataError, match="System role not supported"):
            chat.encode_prompt(TOKENIZERS["gemma"], Prompt((Message("system", "be kind"), *ASKED.messages)))

    def test_two_begin_tokens_in_the_template_are_refused(self):
        tokenizer = tokenizer_of("gemma", template="{{- bos_token -}}" + VOICES["gemma"]["template"])
        with pytest.raises(DataError, match="two begin tokens"):
            chat.encode_prompt(tokenizer, ASKED)


class TestSeveralTurns:
    PAST = said("plan a career", "start with figma.", "and then?")

    def test_one_row_trains_all_that_the_assistant_says(self):
        for name in ("chatml", "llama3", "gemma", "mistral"):
            tokenizer = TOKENIZERS[name]
            (row,), _ = chat.encode_conversation(tokenizer, self.PAST, "practise.")
            end = text_of(tokenizer, [ends_of(tokenizer).written])
            assert trained_text(tokenizer, row).split() == f"start with figma.{end} practise.{end}".split() or (
                trained_text(tokenizer, row) == f"start with figma.{end}practise.{end}"
            )

    def test_the_last_turn_alone(self, tokenizer):
        rows, _ = chat.encode_conversation(tokenizer, self.PAST, "practise.", turns="last")
        start, (answer,), _ = chat.encode_answers(tokenizer, self.PAST, ["practise."])
        assert [row.tokens for row in rows] == [[*start, *answer]]
        assert rows[0].trained == [False] * len(start) + [True] * len(answer)

    def test_rewritten_history_gives_a_row_a_turn(self):
        tokenizer = TOKENIZERS["qwen3"]
        past = said("plan a career", "<think>\nhm\n</think>\n\nstart.", "and then?")
        rows, _ = chat.encode_conversation(tokenizer, past, "<think>\nso\n</think>\n\npractise.")
        assert [trained_text(tokenizer, row) for row in rows] == [
            "<think>\nhm\n</think>\n\nstart.<|im_end|>",
            "<think>\nso\n</think>\n\npractise.<|im_end|>",
        ]
        assert "hm" in text_of(tokenizer, rows[0].tokens)
        assert "hm" not in text_of(tokenizer, rows[1].tokens), "each row is what the model sees at that turn"

    def test_without_an_end_token_in_the_template_each_turn_is_a_row(self):
        rows, _ = chat.encode_conversation(TOKENIZERS["plain"], self.PAST, "practise.")
        assert [trained_text(TOKENIZERS["plain"], row) for row in rows] == [
            "start with figma.<|endoftext|>",
            "practise.<|endoftext|>",
        ]

    def test_what_the_assistant_says_before_any_question_is_not_trained(self):
        tokenizer = TOKENIZERS["chatml"]
        greeted = Prompt((Message("assistant", "welcome"), *self.PAST.messages))
        (row,), _ = chat.encode_conversation(tokenizer, greeted, "practise.")
        assert trained_text(tokenizer, row) == "start with figma.<|im_end|>practise.<|im_end|>"
        assert "welcome" in text_of(tokenizer, row.tokens)


class TestEnds:
    def test_tokenizer_folder_and_template_all_count(self, tmp_path):
        tokenizer = load_tokenizer(folder_of(tmp_path, "llama3"))
        names = {text_of(tokenizer, [i]) for i in ends_of(tokenizer).ids}
        assert names == {"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"}
        assert text_of(tokenizer, [ends_of(tokenizer).written]) == "<|eot_id|>"

    def test_the_end_that_only_the_template_knows(self):
        tokenizer = tokenizer_of("chatml", eos="<|endoftext|>")
        ends = ends_of(tokenizer)
        assert {text_of(tokenizer, [i]) for i in ends.ids} == {"<|endoftext|>", "<|im_end|>"}
        assert text_of(tokenizer, [ends.written]) == "<|im_end|>"

    def test_an_end_token_only_between_turns_is_written_at_the_end_too(self, tmp_path):
        template = CHATML.replace("'<|im_end|>' +", "('' if loop.last and m.role == 'assistant' else '<|im_end|>') +")
        ends = dict(eos="<|endoftext|>", ends=["<|endoftext|>", "<|im_end|>"])
        tokenizer = load_tokenizer(folder_of(tmp_path, "chatml", template=template, **ends))
        (answer,) = chat.encode_answers(tokenizer, ASKED, ["yes"]).completions
        assert text_of(tokenizer, answer) == "yes<|im_end|>"

    def test_an_ordinary_token_is_no_end(self, tmp_path):
        # A Llama configuration says 2 where nobody chose an end token.
        folder = folder_of(tmp_path, "mistral")
        word = load_tokenizer(folder)("the", add_special_tokens=False)["input_ids"][0]
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [word]}))
        tokenizer = load_tokenizer(folder)
        assert ends_of(tokenizer).ids == {tokenizer.eos_token_id}
        assert ends_of(tokenizer).ignored == {word}

    def test_no_end_at_all_is_an_error(self, tmp_path):
        folder = folder_of(tmp_path, "plain", eos=None, bos=None, pad="<|pad|>")
        for name in ("generation_config.json", "config.json"):
            settings_ = json.loads((folder / name).read_text()) | {"eos_token_id": None}
            (folder / name).write_text(json.dumps(settings_))
        with pytest.raises(ModelError, match="no eos_token"):
            load_tokenizer(folder)

    def test_an_end_that_only_the_folder_names_will_do(self, tmp_path):
        folder = folder_of(tmp_path, "gemma", eos=None, special=["<start_of_turn>", "<end_of_turn>", "<eos>"])
        tokenizer = load_tokenizer(folder)
        assert tokenizer.eos_token == "<end_of_turn>"
        assert {text_of(tokenizer, [i]) for i in ends_of(tokenizer).ids} == {"<eos>", "<end_of_turn>"}

    def test_padding_may_be_the_end_token_or_absent(self, tmp_path):
        for pad in ("</s>", None):
            tokenizer = load_tokenizer(folder_of(tmp_path / str(pad is None), "mistral", pad=pad))
            assert pad_id_of(tokenizer) == tokenizer.pad_token_id == tokenizer.eos_token_id
            (answer,) = chat.encode_answers(tokenizer, ASKED, ["yes"]).completions
            assert answer[-1] == tokenizer.eos_token_id

    def test_another_template_is_asked_again(self):
        tokenizer = tokenizer_of("qwen3")
        assert chat.encode_completion(tokenizer, "yes")[0] == tokenizer.convert_tokens_to_ids("<think>")
        tokenizer.chat_template = CHATML
        assert text_of(tokenizer, chat.encode_completion(tokenizer, "yes")) == "yes<|im_end|>"

    def test_what_was_learned_about_a_tokenizer_is_not_saved_with_it(self, tmp_path):
        tokenizer = tokenizer_of("chatml")
        chat.encode_prompt(tokenizer, ASKED)
        tokenizer.save_pretrained(tmp_path)
        assert "palate" not in (tmp_path / "tokenizer_config.json").read_text()
