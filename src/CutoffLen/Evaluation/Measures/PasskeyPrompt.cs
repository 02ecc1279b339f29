using CutoffLen.Common;

namespace CutoffLen.Evaluation.Measures;

/// <summary>A prompt with a key hidden in it.</summary>
/// <param name="Length">The length asked for, tokens.</param>
/// <param name="Depth">Where the key lies: 0 at the beginning, 1 at the end.</param>
/// <param name="Key">The five digits.</param>
/// <param name="Prompt">The prompt's tokens.</param>
/// <param name="Answer">The key's tokens after the prompt.</param>
/// <param name="Distance">Tokens from the key's sentence to the end of the prompt.</param>
public sealed record PasskeyPrompt(int Length, double Depth, string Key, int[] Prompt, int[] Answer, int Distance)
{
    /// <summary>
    /// The prompt of Position Interpolation (arXiv 2306.15595, section 3.3; first in Landmark Attention, arXiv
    /// 2305.16300): lines of a task, filler, the key, filler, and the question.
    /// </summary>
    private const string Task = "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the important information there.";
    private const string Filler = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
    internal const string Question = "What is the pass key? The pass key is";

    /// <summary>The longest prompt that, with its answer, has at most <paramref name="length"/> tokens.</summary>
    /// <param name="length">Tokens.</param>
    /// <param name="depth">0 to 1.</param>
    /// <param name="key">The digits to find.</param>
    /// <param name="encode">Tokens of a text, with the special tokens that the tokenizer puts before it.</param>
    /// <exception cref="UserException">Not even the sentences around the filler fit.</exception>
    public static PasskeyPrompt Of(int length, double depth, string key, Func<string, int[]> encode)
    {
        var bare = Tokens(0);
        if (bare > length)
        {
            throw new UserException($"a passkey prompt has at least {bare} tokens with this tokenizer; {length} are too few");
        }

        // The token count grows with the filler: the largest filler that fits, by bisection.
        var (fits, tooMany) = (0, 1);
        while (Tokens(tooMany) <= length)
        {
            (fits, tooMany) = (tooMany, tooMany * 2);
        }

        while (tooMany - fits > 1)
        {
            var middle = (fits + tooMany) / 2;
            (fits, tooMany) = Tokens(middle) <= length ? (middle, tooMany) : (fits, middle);
        }

        var (before, after) = Parts(key, fits, depth);
        var (prompt, answer) = Split(encode($"{before}{after} {key}"), encode(before + after));
        return new PasskeyPrompt(length, depth, key, prompt, answer, prompt.Length - encode(before).Length);

        int Tokens(int fillers)
        {
            var (before, after) = Parts(key, fillers, depth);
            return encode($"{before}{after} {key}").Length;
        }
    }

    /// <summary>The answers that compete with the key in the ranking: the tokens of other keys after the same question.</summary>
    public static IReadOnlyList<int[]> Alternatives(PasskeyPrompt prompt, IEnumerable<string> keys, Func<string, int[]> encode)
    {
        // The tokens of " 12345" depend only on the question before them.
        var question = encode(Question);
        return [.. keys.Select(key => Split(encode($"{Question} {key}"), question).Answer).Where(answer => answer.Length > 0 && !answer.SequenceEqual(prompt.Answer))];
    }

    /// <summary>The sentences that hold a key.</summary>
    internal static string Sentence(string key) => $"The pass key is {key}. Remember it. {key} is the pass key.";

    // What stands before the key's sentence, and the rest.
    private static (string Before, string After) Parts(string key, int fillers, double depth)
    {
        var above = (int)Math.Round(depth * fillers);
        return (
            string.Concat(Paragraph(Task, above)),
            string.Concat([.. Paragraph(Sentence(key), fillers - above), Question]));

        static IEnumerable<string> Paragraph(string line, int count) =>
            count == 0 ? [line, "\n"] : [line, "\n", string.Join(' ', Enumerable.Repeat(Filler, count)), "\n"];
    }

    private static (int[] Prompt, int[] Answer) Split(int[] whole, int[] promptAlone)
    {
        var common = whole.AsSpan().CommonPrefixLength(promptAlone);
        return (whole[..common], whole[common..]);
    }
}
