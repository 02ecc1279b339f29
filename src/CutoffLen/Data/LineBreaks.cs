using System.Collections;

namespace CutoffLen.Data;

/// <summary>
/// Finds where lines begin in tokens, for training positions that skip between the units of a text: a token begins a
/// line when the token before it, in the same document, has a line feed in its text.
/// </summary>
public sealed class LineBreaks
{
    private readonly BitArray endsLine;

    /// <summary>Looks through the vocabulary once.</summary>
    /// <param name="vocabularySize">V.</param>
    /// <param name="textOf">The text of an id; empty for ids that mean none.</param>
    public LineBreaks(int vocabularySize, Func<int, string> textOf)
    {
        endsLine = new BitArray(vocabularySize);
        for (var id = 0; id < vocabularySize; id++)
        {
            endsLine[id] = textOf(id).Contains('\n');
        }
    }

    /// <summary>Ascending row indices at which a line begins; the first token of a document is none of them.</summary>
    public int[] Of(TrainingSequence sequence)
    {
        var starts = new List<int>();
        var end = 0;
        foreach (var span in sequence.Spans)
        {
            var start = end;
            end += span.Length;
            starts.AddRange(Enumerable.Range(start + 1, span.Length - 1).Where(t => endsLine[sequence.Tokens[t - 1]]));
        }

        return [.. starts];
    }
}
