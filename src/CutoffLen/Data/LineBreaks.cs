using System.Collections;

namespace CutoffLen.Data;

/// <summary>
/// Finds the tokens that begin a line, for training positions that skip between units of a text. A token begins a line
/// when the token before it, in the same document, has a line feed in its text.
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

    /// <summary>The row indices at which a line begins, ascending, without the first token of a document.</summary>
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
