using System.Text;
using CutoffLen.Common;
using CutoffLen.Data;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>
/// Running text as a haystack. White space is collapsed; a haystack longer than the text repeats it. RULER takes essays by Paul
/// Graham, cut into sentences by NLTK; here a sentence ends with the word that ends with a full stop, question or
/// exclamation mark.
/// </summary>
public sealed class Essay
{
    /// <summary>At most so many needles: each lies at a depth of its own.</summary>
    public const int MostNeedles = 40;

    private readonly string[][] sentences;

    /// <summary>An essay of this text.</summary>
    /// <exception cref="UserException">The text has no words.</exception>
    public Essay(string text)
    {
        sentences = [.. Sentences(text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))];
        if (sentences.Length == 0)
        {
            throw new UserException("the haystack has no words");
        }
    }

    /// <summary>Reads .txt and .jsonl files, folders and globs as one text.</summary>
    /// <param name="paths">What the user gave.</param>
    /// <param name="mostCharacters">Nothing is read after so many.</param>
    /// <exception cref="UserException">A path that cannot be read, or no words.</exception>
    public static Essay Read(IReadOnlyList<string> paths, long mostCharacters)
    {
        var text = new StringBuilder();
        foreach (var piece in Documents.Read(DataFiles.Find(paths)).TakeWhile(_ => text.Length < mostCharacters))
        {
            text.Append(piece.Text).Append(piece.Ends ? "\n" : "");
        }

        return new Essay(text.ToString());
    }

    /// <summary>The first <paramref name="size"/> words, with needles between the sentences at 40 depths of which each has one at most.</summary>
    internal string Hide(string[] needles, int size, ref KeyedRandom random)
    {
        var text = First(size).ToList();
        var depths = new int[needles.Length];
        random.Choose(depths, MostNeedles);
        for (var (n, count) = (needles.Length - 1, text.Count); n >= 0; n--)
        {
            var percent = (int)Math.Round(depths[n] * 100.0 / (MostNeedles - 1));
            text.Insert(count * percent / 100, needles[n]);
        }

        return string.Join(' ', text);
    }

    private IEnumerable<string> First(int words)
    {
        for (int n = 0, left = words; left > 0; left -= sentences[n].Length, n = (n + 1) % sentences.Length)
        {
            yield return string.Join(' ', sentences[n].AsSpan(0, Math.Min(left, sentences[n].Length)));
        }
    }

    private static IEnumerable<string[]> Sentences(string[] words)
    {
        for (int start = 0, n = 0; n < words.Length; n++)
        {
            if (n == words.Length - 1 || words[n].TrimEnd('"', '\'', ')', ']', '”', '’') is [.., '.' or '?' or '!'])
            {
                yield return words[start..(n + 1)];
                start = n + 1;
            }
        }
    }
}
