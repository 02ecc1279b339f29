using System.Text.RegularExpressions;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>A small vocabulary, trained where it is used: the merges that a few lines of text give.</summary>
internal sealed partial class SmallBpe
{
    public const string Corpus = """
        The whale, the whale! Up helm, up helm! Oh, all ye sweet powers of air, now hug me close! Let not Starbuck die, if die he must, in a
        woman's fainting fit. Up helm, I say, ye fools, the jaw! the jaw! Is this the end of all my bursting prayers? all my life-long fidelities?
        It's 12 o'clock; we're at 3.14159, they've 2024 ships and I'd say he'll be 1,234 miles off. Don't you think so? THE WHALE'S THERE.
        def main(args):
            for i in range(100):
                print("hello world", i * 2 + 1)  # comment

                if not args: return None

        Привет, мир. Как дела? Привет. 你好，世界。你好，世界。日本語のテキスト、カタカナ。안녕하세요 세계. Ærøskøbing naïve café cafés déjà vu.
        مرحبا بالعالم שלום עולם สวัสดี नमस्ते 😀😀 👩‍👩‍👧 🇫🇷 𐐀𐐁 𝐇𝐞𝐥𝐥𝐨 𠀀𠀁
        http://example.com/path?query=1&other=2#fragment   tab	tab  two   three    four
        """;

    private SmallBpe(IEnumerable<string> tokens, List<(string Left, string Right)> merges) => (Tokens, Merges) = ([.. tokens.Distinct()], merges);

    /// <summary>The alphabet, then what the merges make.</summary>
    public List<string> Tokens { get; }

    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>Trains on the corpus, cut into words with the spaces before them.</summary>
    /// <param name="spell">How a word is written, for example in GPT-2's byte alphabet.</param>
    /// <param name="alphabet">Tokens beside the characters of the corpus.</param>
    /// <param name="count">Merges.</param>
    public static SmallBpe Train(Func<string, string> spell, IEnumerable<string> alphabet, int count)
    {
        var words = Words().Matches(Corpus).Select(word => spell(word.Value)).GroupBy(word => word)
            .Select(word => (Symbols: word.Key.EnumerateRunes().Select(rune => rune.ToString()).ToList(), Count: word.Count())).ToList();
        List<string> tokens = [.. alphabet, .. words.SelectMany(word => word.Symbols)];
        var merges = new List<(string Left, string Right)>();
        while (merges.Count < count)
        {
            var pairs = new Dictionary<(string, string), int>();
            foreach (var (symbols, number) in words)
            {
                foreach (var pair in symbols.Zip(symbols.Skip(1)))
                {
                    pairs[pair] = pairs.GetValueOrDefault(pair) + number;
                }
            }

            var best = pairs.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key.Item1 + " " + pair.Key.Item2, StringComparer.Ordinal).First().Key;
            merges.Add(best);
            tokens.Add(best.Item1 + best.Item2);
            words.ForEach(word => Apply(word.Symbols, best));
        }

        return new SmallBpe(tokens, merges);
    }

    private static void Apply(List<string> symbols, (string Left, string Right) merge)
    {
        for (var i = 0; i + 1 < symbols.Count; i++)
        {
            if (symbols[i] == merge.Left && symbols[i + 1] == merge.Right)
            {
                symbols[i] += symbols[i + 1];
                symbols.RemoveAt(i + 1);
            }
        }
    }

    [GeneratedRegex(@" ?\p{L}+(?:'\p{L}+)?| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+")]
    private static partial Regex Words();
}
