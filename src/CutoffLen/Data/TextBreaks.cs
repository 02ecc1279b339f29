using System.Collections;

namespace CutoffLen.Data;

/// <summary>
/// Finds the tokens that begin a unit of the text (a line, a sentence), for training positions that skip between units. A
/// token begins a unit when the token before it, in the same document, ends one, or is the last of a prompt.
/// </summary>
public sealed class TextBreaks
{
    private readonly BitArray endsUnit;

    /// <summary>Looks through the vocabulary once.</summary>
    /// <param name="vocabularySize">V.</param>
    /// <param name="endsUnit">Whether the token of an id ends a unit.</param>
    public TextBreaks(int vocabularySize, Func<int, bool> endsUnit)
    {
        this.endsUnit = new BitArray(vocabularySize);
        for (var id = 0; id < vocabularySize; id++)
        {
            this.endsUnit[id] = endsUnit(id);
        }
    }

    /// <summary>The row indices at which a unit begins, ascending, without the first token of a document.</summary>
    public int[] Of(TrainingSequence sequence)
    {
        var starts = new List<int>();
        var end = 0;
        foreach (var span in sequence.Spans)
        {
            var start = end;
            end += span.Length;
            starts.AddRange(Enumerable.Range(start + 1, span.Length - 1).Where(t => endsUnit[sequence.Tokens[t - 1]] || EndsPrompt(sequence, t - 1, start)));
        }

        return [.. starts];
    }

    /// <summary>Whether a token has the first target of its document after tokens without.</summary>
    private static bool EndsPrompt(TrainingSequence sequence, int token, int start) =>
        token > start && sequence.Targets[token] != TrainingSequence.Ignore && sequence.Targets[token - 1] == TrainingSequence.Ignore;
}
