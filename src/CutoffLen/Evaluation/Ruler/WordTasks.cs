using CutoffLen.Common;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>
/// Variable tracking (RULER's variable_tracking.py): a chain of five assignments among filler sentences, X1 = 12345, X2 = X1,
/// and so on; all variables with the value are asked for. An example with its answer stands before it. RULER gives the
/// example 500 tokens, about 15 filler sentences with LLaMA's tokenizer; here it has 15, in short prompts 5.
/// </summary>
public sealed record VariableTracking() : RulerTask("vt", 30)
{
    private const int Variables = 5;

    /// <inheritdoc/>
    public override (int Least, int Most) Sizes => (Variables, int.MaxValue);

    /// <inheritdoc/>
    public override RulerSample Draw(int size, int length, KeyedRandom random)
    {
        var example = Chain(length < ShortLength ? 5 : 15, 3, ref random);
        var (prompt, answers) = Chain(size, 5, ref random);
        return new RulerSample($"{example.Prompt} {string.Join(' ', example.Answers)}\n\n{prompt}", answers);
    }

    private static RulerSample Chain(int sentences, int letters, ref KeyedRandom random)
    {
        var names = Codes(Variables, letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", ref random);
        var value = random.Between(10_000, 99_998);
        string[] chain = [$"VAR {names[0]} = {value}", .. names.Zip(names.Skip(1)).Select(pair => $"VAR {pair.Second} = VAR {pair.First} ")];
        return new RulerSample(
            $"Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n{Lines(Enumerable.Repeat(Noise, sentences), chain, ref random)}\n"
                + $"Question: Find all variables that are assigned the value {value} in the text above."
                + $" Answer: According to the chain(s) of variable assignment in the text above, {Variables} variables are assigned the value {value}, they are: ",
            names);
    }
}

/// <summary>
/// Common words extraction (RULER's common_words_extraction.py): a numbered list in which ten words stand 30 times and all others
/// 3 times, after an example with its answer. In short prompts 6 times and once.
/// </summary>
public sealed record CommonWords() : RulerTask("cwe", 120)
{
    private const int Common = 10;

    /// <inheritdoc/>
    public override (int Least, int Most) Sizes => (Common + 1, EnglishWords.Pairs);

    /// <inheritdoc/>
    public override RulerSample Draw(int size, int length, KeyedRandom random)
    {
        var isShort = length < ShortLength;
        var example = isShort ? Count(20, 3, 1, ref random) : Count(40, 10, 3, ref random);
        var (prompt, answers) = isShort ? Count(size, 6, 1, ref random) : Count(size, 30, 3, ref random);
        return new RulerSample($"{example.Prompt} {Numbered(example.Answers)}\n{prompt}", answers);
    }

    private static RulerSample Count(int words, int often, int seldom, ref KeyedRandom random)
    {
        var drawn = EnglishWords.Draw(words, ref random);
        string[] list = [.. drawn.SelectMany((word, n) => Enumerable.Repeat(word, n < Common ? often : seldom))];
        random.Shuffle(list.AsSpan());
        return new RulerSample(
            "Below is a numbered list of words. In these words, some appear more often than others. Memorize the ones that appear most often.\n"
                + $"{Numbered(list)}\nQuestion: What are the {Common} most common words in the above list?"
                + $" Answer: The top {Common} words that appear most often in the list are:",
            drawn[..Common]);
    }

    private static string Numbered(IEnumerable<string> words) => string.Join(' ', words.Select((word, n) => $"{n + 1}. {word}"));
}

/// <summary>
/// Frequent words extraction (RULER's freq_words_extraction.py): coded words of six letters, the k-th of which stands in
/// proportion to k^-2 (a zeta distribution, alpha 2). The first is "...", and the next three are asked for.
/// </summary>
public sealed record FrequentWords() : RulerTask("fwe", 50)
{
    private const int Asked = 3;
    private const double Zeta2 = Math.PI * Math.PI / 6;

    /// <inheritdoc/>
    /// <remarks>27 words are the fewest among which the third word asked for stands at all.</remarks>
    public override (int Least, int Most) Sizes => (27, int.MaxValue);

    /// <inheritdoc/>
    public override RulerSample Draw(int size, int length, KeyedRandom random)
    {
        // RULER's vocabulary grows with the prompt. A last word asked for that is no more frequent than the next is no answer.
        var vocabulary = Codes(Math.Max((length - TokensToGenerate) / 50, Asked + 2), 6, "abcdefghijklmnopqrstuvwxyz", ref random);
        while (Times(Asked + 1, size) == Times(Asked + 2, size))
        {
            size--;
        }

        vocabulary[0] = "...";
        string[] text = [.. vocabulary.SelectMany((word, n) => Enumerable.Repeat(word, Times(n + 1, size)))];
        random.Shuffle(text.AsSpan());
        return new RulerSample(
            "Read the following coded text and track the frequency of each coded word. Find the three most frequently appeared coded words. "
                + $"{string.Join(' ', text)}\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are the three most frequently appeared words in the above coded text?"
                + " Answer: According to the coded text above, the three most frequently appeared words are:",
            vocabulary[1..(Asked + 1)]);
    }

    /// <summary>How often the k-th word stands among about <paramref name="words"/> words.</summary>
    private static int Times(int k, int words) => (int)(words / ((double)k * k * Zeta2));
}
