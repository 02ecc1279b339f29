using CutoffLen.Positions.Spec;

namespace CutoffLen.Tests.Positions.Spec;

public sealed class LayerSelectionTests
{
    // What Python's list(range(8))[...] selects.
    [Theory]
    [InlineData("5", 5)]
    [InlineData("0:2", 0, 1)]
    [InlineData(":2", 0, 1)]
    [InlineData("6:", 6, 7)]
    [InlineData("3::4", 3, 7)]
    [InlineData("1:6:2", 1, 3, 5)]
    [InlineData(":", 0, 1, 2, 3, 4, 5, 6, 7)]
    [InlineData("4:4")]
    [InlineData("7,0:2", 0, 1, 7)]
    public void Slices_select_as_in_Python(string text, params int[] layers)
    {
        var selection = LayerSelection.Parse(text);
        Assert.Equal(layers, Enumerable.Range(0, 8).Where(selection.Contains));
        Assert.Equal(selection, LayerSelection.Parse(selection.ToString()));
    }

    [Theory]
    [InlineData(8, "3::4", 3, 7)]
    [InlineData(8, "3", 3)]
    [InlineData(8, "0::2", 0, 2, 4, 6)]
    [InlineData(8, "6:", 6, 7)]
    [InlineData(8, "0,2", 0, 2)] // not to the model's end
    [InlineData(8, "1,2,7", 1, 2, 7)]
    public void Layers_have_their_shortest_text(int count, string text, params int[] layers)
    {
        Assert.Equal(text, LayerSelection.Of(layers, count).ToString());
        Assert.Equal(layers, Enumerable.Range(0, count).Where(LayerSelection.Parse(text).Contains));
    }
}
