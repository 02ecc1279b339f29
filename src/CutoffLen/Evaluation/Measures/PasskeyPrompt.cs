using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Evaluation.Measures;

/// <summary>What a key is called and made of.</summary>
public enum PasskeyForm
{
    /// <summary>A pass key of five digits, as in Position Interpolation.</summary>
    Passkey,

    /// <summary>
    /// A password of eight letters and digits, which more tokens have to be right for. The password test has no definition in a
    /// paper or in public code that could be found; this is the pass key's prompt with the other word.
    /// </summary>
    Password,
}

/// <summary>A prompt with a key hidden in it.</summary>
/// <param name="Length">The length asked for, tokens.</param>
/// <param name="Depth">Where the key lies: 0 at the beginning, 1 at the end.</param>
/// <param name="Key">The digits, or letters and digits.</param>
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
    internal const string Filler = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

    /// <summary>What the key is called.</summary>
    public PasskeyForm Form { get; init; }

    /// <summary>The longest prompt that, with its answer, has at most <paramref name="length"/> tokens.</summary>
    /// <param name="length">Tokens.</param>
    /// <param name="depth">0 to 1.</param>
    /// <param name="key">What to find.</param>
    /// <param name="encode">Tokens of a text, with the special tokens that the tokenizer puts before it.</param>
    /// <param name="form">What the key is called.</param>
    /// <exception cref="UserException">Not even the sentences around the filler fit.</exception>
    public static PasskeyPrompt Of(int length, double depth, string key, Func<string, int[]> encode, PasskeyForm form = PasskeyForm.Passkey)
    {
        var bare = Tokens(0);
        if (bare > length)
        {
            throw new UserException($"a {form.ToString().ToLowerInvariant()} prompt has at least {bare} tokens with this tokenizer; {length} are too few");
        }

        var fits = Bisection.Largest(0, length, fillers => Tokens(fillers) <= length); // a filler has a token at least
        var (before, after) = Parts(key, fits, depth, form);
        var (prompt, answer) = Split(encode($"{before}{after} {key}"), encode(before + after));
        return new PasskeyPrompt(length, depth, key, prompt, answer, prompt.Length - encode(before).Length) { Form = form };

        int Tokens(int fillers)
        {
            var (before, after) = Parts(key, fillers, depth, form);
            return encode($"{before}{after} {key}").Length;
        }
    }

    /// <summary>The answers that compete with the key in the ranking: the tokens of other keys after the same question.</summary>
    public static IReadOnlyList<int[]> Alternatives(PasskeyPrompt prompt, IEnumerable<string> keys, Func<string, int[]> encode)
    {
        // The tokens of " 12345" depend only on the question before them.
        var text = Question(prompt.Form);
        var question = encode(text);
        return [.. keys.Select(key => Split(encode($"{text} {key}"), question).Answer).Where(answer => answer.Length > 0 && !answer.SequenceEqual(prompt.Answer))];
    }

    /// <summary>Draws a key.</summary>
    public static string Draw(PasskeyForm form, ref KeyedRandom random) => form == PasskeyForm.Passkey
        ? (10_000 + random.Below(90_000)).ToString(CultureInfo.InvariantCulture)
        : random.GetString("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 8);

    /// <summary>The question at the end of a prompt, with the beginning of its answer.</summary>
    internal static string Question(PasskeyForm form = PasskeyForm.Passkey) => $"What is the {Noun(form)}? The {Noun(form)} is";

    /// <summary>The sentences that hold a key.</summary>
    internal static string Sentence(string key, PasskeyForm form = PasskeyForm.Passkey) => $"The {Noun(form)} is {key}. Remember it. {key} is the {Noun(form)}.";

    private static string Noun(PasskeyForm form) => form == PasskeyForm.Passkey ? "pass key" : "password";

    // What stands before the key's sentence, and the rest.
    private static (string Before, string After) Parts(string key, int fillers, double depth, PasskeyForm form)
    {
        var above = (int)Math.Round(depth * fillers);
        return (
            string.Concat(Paragraph(Task, above)),
            string.Concat([.. Paragraph(Sentence(key, form), fillers - above), Question(form)]));

        static IEnumerable<string> Paragraph(string line, int count) =>
            count == 0 ? [line, "\n"] : [line, "\n", string.Join(' ', Enumerable.Repeat(Filler, count)), "\n"];
    }

    private static (int[] Prompt, int[] Answer) Split(int[] whole, int[] promptAlone)
    {
        var common = whole.AsSpan().CommonPrefixLength(promptAlone);
        return (whole[..common], whole[common..]);
    }
}
