using CutoffLen.Data;
using CutoffLen.Positions.PositionIds;

namespace CutoffLen.Tests.Data;

public sealed class TextBreaksTests
{
    private static readonly string[] Vocabulary = ["", "a", "\n", ".\n\n", "b"];

    [Fact]
    public void A_line_begins_after_a_token_with_a_line_feed_inside_one_document()
    {
        var sequence = new TrainingSequence(
            [1, 2, 4, 3, 1, 2, 2, 1, 3, 0, 0], new int[11], CutoffLen.Positions.TokenPositions.Packed([6, 3, 1, 1]), 2,
            [new DocumentSpan(0, 0, 6), new DocumentSpan(1, 0, 3)]);
        int[] breaks = new TextBreaks(5, id => new SkipAlignSampler().EndsUnit!(Vocabulary[id])).Of(sequence);
        Assert.Equal([2, 4, 7], breaks);

        // What skip-align makes of them: skips there and nowhere else.
        var ids = new SkipAlignSampler(1).Sample(sequence.Positions, 10_000, new(1, 0, 0), breaks, sequence.Padding).Ids;
        Assert.Equal([0, 1, 0, 0, 0], [ids[0], ids[1], ids[6], ids[9], ids[10]]);
        Assert.Equal([ids[2] + 1, ids[4] + 1, ids[7] + 1], [ids[3], ids[5], ids[8]]);
        Assert.True(ids[2] > 2 && ids[4] > ids[3] + 1 && ids[7] > 1);
    }

    [Fact]
    public void The_completion_of_a_record_begins_a_unit()
    {
        int[] targets = [TrainingSequence.Ignore, TrainingSequence.Ignore, 4, 1, 1, 4, TrainingSequence.Ignore];
        var sequence = new TrainingSequence(
            [1, 1, 1, 4, 1, 1, 4], targets, CutoffLen.Positions.TokenPositions.Packed([4, 3]), 0, [new DocumentSpan(0, 0, 4), new DocumentSpan(1, 0, 3)]);
        Assert.Equal([3], new TextBreaks(5, _ => false).Of(sequence));
    }

    [Theory]
    [InlineData(".", true)]
    [InlineData("?", true)]
    [InlineData(" !", true)]
    [InlineData("\n", true)]
    [InlineData(".\n\n", true)]
    [InlineData("3.5", false)]
    [InlineData("Mr.", false)]
    [InlineData("", false)]
    public void Long_recipe_skips_after_the_tokens_that_end_a_sentence(string token, bool ends) =>
        Assert.Equal(ends, new LongRecipeSampler().EndsUnit!(token));
}
