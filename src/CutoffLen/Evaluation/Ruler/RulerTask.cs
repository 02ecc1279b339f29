using CutoffLen.Common;
using CutoffLen.Evaluation.Measures;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>A prompt of a task, and what its answer has to contain.</summary>
/// <param name="Prompt">Context, question, and the beginning of the answer, which the model continues.</param>
/// <param name="Answers">The strings that the continuation has to contain.</param>
public sealed record RulerSample(string Prompt, IReadOnlyList<string> Answers)
{
    /// <summary>RULER's <c>string_match_all</c>: the share of the answers that stand in the continuation, in any case of letters.</summary>
    public double Score(string continuation) => Answers.Average(answer => continuation.Contains(answer, StringComparison.OrdinalIgnoreCase) ? 1.0 : 0);
}

/// <summary>
/// A synthetic task of RULER (arXiv 2404.06654; NVIDIA/RULER, scripts/data/synthetic). Prompts are word for word those of the
/// repository's constants.py, in the form for base models, so that scores compare with published ones.
/// </summary>
/// <param name="Name">The task's name in RULER's synthetic.yaml.</param>
/// <param name="TokensToGenerate">How many tokens the model may answer with.</param>
public abstract record RulerTask(string Name, int TokensToGenerate)
{
    /// <summary>The repository makes two tasks easier for prompts below this length, tokens.</summary>
    private protected const int ShortLength = 4096;

    /// <summary>RULER calls the filler sentences of passkey retrieval noise.</summary>
    private protected const string Noise = PasskeyPrompt.Filler;

    /// <summary>The smallest and the largest haystack: sentences, words, ... of the task.</summary>
    public abstract (int Least, int Most) Sizes { get; }

    /// <summary>Draws a sample.</summary>
    /// <param name="size">Of the haystack; the number of tokens grows with it.</param>
    /// <param name="length">Tokens that prompt and answer may have; sets the difficulty of some tasks.</param>
    /// <param name="random">The sample's random generator.</param>
    public abstract RulerSample Draw(int size, int length, KeyedRandom random);

    /// <summary>Draws a text.</summary>
    private protected delegate string NewText(ref KeyedRandom random);

    /// <summary>Texts that are not yet used.</summary>
    private protected static string[] Different(int count, HashSet<string> used, NewText draw, ref KeyedRandom random)
    {
        var texts = new string[count];
        foreach (ref var text in texts.AsSpan())
        {
            do
            {
                text = draw(ref random);
            }
            while (!used.Add(text));
        }

        return texts;
    }

    /// <summary>Different strings of letters.</summary>
    private protected static string[] Codes(int count, int letters, string alphabet, ref KeyedRandom random) =>
        Different(count, [], (ref KeyedRandom drawn) => drawn.GetString(alphabet, letters), ref random);

    /// <summary>The lines of a haystack with others before randomly chosen ones, in the order given.</summary>
    private protected static string Lines(IEnumerable<string> haystack, string[] hidden, ref KeyedRandom random)
    {
        var lines = haystack.ToList();
        var before = new int[hidden.Length];
        random.Choose(before, lines.Count);
        for (var n = hidden.Length - 1; n >= 0; n--)
        {
            lines.Insert(before[n], hidden[n]);
        }

        return string.Join('\n', lines);
    }
}
