using CutoffLen.Common;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>What needles are hidden in.</summary>
public enum Haystack
{
    /// <summary>The filler sentences of passkey retrieval.</summary>
    Noise,

    /// <summary>Running text, see <see cref="Ruler.Essay"/>.</summary>
    Essay,

    /// <summary>Needles with other keys.</summary>
    Needles,
}

/// <summary>What keys and values are.</summary>
public enum NeedleText
{
    /// <summary>Pairs of English words, such as brave-river.</summary>
    Words,

    /// <summary>Seven digits.</summary>
    Numbers,

    /// <summary>UUIDs (RFC 4122, version 4).</summary>
    Uuids,
}

/// <summary>
/// Needles in a haystack (RULER's niah.py): sentences with a key and a value are hidden, and the values of some keys are asked
/// for. Unlike RULER's, keys never repeat, which its much longer word list makes unlikely.
/// </summary>
/// <param name="Name">The task's name.</param>
/// <param name="Haystack">What the needles are hidden in.</param>
/// <param name="Key">What keys are.</param>
/// <param name="Value">What values are.</param>
/// <param name="Keys">Keys hidden.</param>
/// <param name="Values">Values of each key.</param>
/// <param name="Queries">Keys asked for.</param>
/// <param name="Essay">The running text of <see cref="Haystack.Essay"/>.</param>
public sealed record NeedleTask(
    string Name, Haystack Haystack, NeedleText Key = NeedleText.Words, NeedleText Value = NeedleText.Numbers,
    int Keys = 1, int Values = 1, int Queries = 1, Essay? Essay = null)
    : RulerTask(Name, Math.Max(128, 32 * Values * Queries)) // RULER has 128 tokens for its four values
{
    /// <inheritdoc/>
    public override (int Least, int Most) Sizes => (Keys * Values, Haystack == Haystack.Needles && Key == NeedleText.Words ? EnglishWords.Pairs / 2 : int.MaxValue);

    /// <inheritdoc/>
    public override RulerSample Draw(int size, int length, KeyedRandom random)
    {
        var used = new HashSet<string>();
        var keys = Different(Keys, used, NewKey, ref random);
        var values = Array.ConvertAll(keys, _ => Different(Values, [], NewValue, ref random));
        string[] needles = [.. keys.Zip(values).SelectMany(pair => pair.Second.Select(value => Needle(pair.First, value)))];
        random.Shuffle(needles.AsSpan());
        var context = Haystack switch
        {
            Haystack.Essay => Essay!.Hide(needles, size, ref random),
            Haystack.Noise => Lines(Enumerable.Repeat(Noise, size), needles, ref random),
            _ => Lines(Others(size, used, ref random), needles, ref random),
        };

        var asked = new int[Queries];
        random.Choose(asked, Keys);
        random.Shuffle(asked.AsSpan());
        return Ask(context, Array.ConvertAll(asked, n => keys[n]), [.. asked.SelectMany(n => values[n])]);
    }

    private RulerSample Ask(string context, string[] keys, string[] answers)
    {
        var query = keys.Length == 1 ? keys[0] : $"{string.Join(", ", keys[..^1])}, and {keys[^1]}";
        var (some, are, all, kind) = answers.Length == 1 ? ("A", "is", "", Kind(Value)[..^1]) : ("Some", "are", " all", Kind(Value));
        return new RulerSample(
            $"{some} special magic {kind} {are} hidden within the following text. Make sure to memorize it. I will quiz you about the {kind} afterwards.\n{context}\n"
                + $"What {are}{all} the special magic {kind} for {query} mentioned in the provided text? The special magic {kind} for {query} mentioned in the provided text {are}",
            answers);
    }

    private string Needle(string key, string value) => $"One of the special magic {Kind(Value)} for {key} is: {value}.";

    private string[] Others(int count, HashSet<string> used, ref KeyedRandom random)
    {
        var needles = Different(count, used, NewKey, ref random);
        foreach (ref var needle in needles.AsSpan())
        {
            needle = Needle(needle, NewValue(ref random));
        }

        return needles;
    }

    private string NewKey(ref KeyedRandom random) => Text(Key, ref random);

    private string NewValue(ref KeyedRandom random) => Text(Value, ref random);

    private static string Text(NeedleText kind, ref KeyedRandom random) => kind switch
    {
        NeedleText.Words => EnglishWords.Pair((int)random.Below(EnglishWords.Pairs)),
        NeedleText.Numbers => $"{random.Between(1_000_000, 9_999_999)}",
        _ => Uuid(ref random),
    };

    private static string Uuid(ref KeyedRandom random)
    {
        var (high, low) = (random.NextBits(), random.NextBits());
        var hex = $"{high:x16}{low:x16}";
        var variant = "89ab"[(int)(low >> 60) & 3];
        return $"{hex[..8]}-{hex[8..12]}-4{hex[13..16]}-{variant}{hex[17..20]}-{hex[20..]}";
    }

    private static string Kind(NeedleText kind) => kind.ToString().ToLowerInvariant();
}
